/** Requests of a page's own scripts: with the form token, and refusals as errors. */

/** What the service refused, or that it could not be reached. */
export class Refused extends Error {
  /**
   * @param {number} status of HTTP; 0 where nothing answered
   * @param {string} told in the service's own words
   */
  constructor(status, told) {
    super(told);
    this.status = status;
  }
}

/**
 * @param {string} method
 * @param {string} url
 * @param {object} [body] sent as JSON
 * @returns {Promise<Response>} an answer below 400
 * @throws {Refused}
 */
export async function ask(method, url, body) {
  const headers = { "X-CSRF-Token": document.body.dataset.csrf, "HX-Request": "true" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "the service cannot be reached");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, [problem.detail || `the service answered ${answer.status}`, problem.mend].filter(Boolean).join(": "));
}
