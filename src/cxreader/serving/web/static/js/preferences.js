/** What a person prefers on this machine, as cookies of a year: the server draws the first picture by them. */

const YEAR = 31_536_000;

/**
 * @param {string} name
 * @returns {string} what was chosen, empty where nothing was
 */
export function preference(name) {
  const found = document.cookie.split("; ").find((one) => one.startsWith(`cxreader-${name}=`));
  return found ? found.slice(found.indexOf("=") + 1) : "";
}

/**
 * @param {string} name
 * @param {string} value letters and digits alone
 */
export function prefer(name, value) {
  document.cookie = `cxreader-${name}=${value}; Path=/; Max-Age=${YEAR}; SameSite=Lax`;
}
