/** The pixels of an image, all of their bits, and halves of it for when it is shown small. */

/**
 * @typedef {object} Level
 * @property {Uint16Array} values  row by row
 * @property {number} columns, rows
 * @property {number} across, down  texels that the picture covers: the last one of an odd number covers half a texel of its half
 *
 * @typedef {object} Picture
 * @property {object} about  as `GET /api/v1/images/KEY/picture` tells it
 * @property {Uint8Array} table  the grey of each value as the file wants it
 * @property {number} width, height  in square pixels
 * @property {Level[]} levels  the first as it is stored, each other one half of the one before; made when they are needed
 */

/** The picture of an image. @param {string} image its key @param {AbortSignal} [signal] @returns {Promise<Picture>} */
export async function loadPicture(image, signal) {
  const about = await (await got(`/api/v1/images/${image}/picture`, signal)).json();
  const data = await (await got(`/api/v1/images/${image}/pixels`, signal)).arrayBuffer();
  return pictureOf(about, data);
}

/** The picture as a network saw it: 8 bits, the network's own size. @returns {Promise<Picture>} */
export async function loadInput(image, model, signal) {
  const blob = await (await got(`/api/v1/images/${image}/input/${model}`, signal)).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const values = new Uint16Array(bitmap.width * bitmap.height).map((_, n) => rgba[4 * n]);
  const [columns, rows] = [bitmap.width, bitmap.height];
  const plain = { bits: 8, slope: 1, intercept: 0, windows: [], inverted: false, spacing: null };
  const about = { ...plain, rows, columns, width: columns, height: rows };
  return {
    about,
    table: Uint8Array.from({ length: 256 }, (_, n) => n),
    width: columns,
    height: rows,
    levels: [{ values, columns, rows, across: columns, down: rows }],
  };
}

/** @param {object} about @param {ArrayBuffer} data values of 16 bits, little-endian, then the table */
export function pictureOf(about, data) {
  const { rows, columns, width, height } = about;
  const values = new Uint16Array(data, 0, rows * columns);
  const table = new Uint8Array(data, 2 * rows * columns);
  return { about, table, width, height, levels: [{ values, columns, rows, across: columns, down: rows }] };
}

/** The level of this number. @param {Picture} picture @returns {Level} */
export function level(picture, number) {
  while (picture.levels.length <= number) picture.levels.push(half(picture.levels.at(-1)));
  return picture.levels[number];
}

/** The number of the level to draw at so many pixels of the port a square pixel; never one beyond `most` texels a side. */
export function levelFor(picture, scale, most = Infinity) {
  const { columns, rows } = picture.levels[0];
  const share = Math.min((scale * picture.width) / columns, (scale * picture.height) / rows);
  let number = Math.max(0, Math.floor(Math.log2(1 / share) + 1e-9));
  while (Math.ceil(Math.max(columns, rows) / 2 ** number) > most) number++;
  const last = Math.floor(Math.log2(Math.min(columns, rows)));
  return Math.min(number, last);
}

/** Means of two by two values, rounded; the last row or column of an odd number stands for two. @param {Level} of */
function half({ values, columns, rows, across, down }) {
  const [w, h] = [(columns + 1) >> 1, (rows + 1) >> 1];
  const made = new Uint16Array(w * h);
  for (let y = 0, to = 0; y < h; y++) {
    const upper = 2 * y * columns;
    const lower = Math.min(2 * y + 1, rows - 1) * columns;
    for (let x = 0; x < w; x++, to++) {
      const left = 2 * x;
      const right = left + 1 < columns ? left + 1 : left;
      made[to] = (values[upper + left] + values[upper + right] + values[lower + left] + values[lower + right] + 2) >> 2;
    }
  }
  return { values: made, columns: w, rows: h, across: across / 2, down: down / 2 };
}

/** The answer, or an error with what is wrong and what would help. @returns {Promise<Response>} */
export async function got(path, signal) {
  const answer = await fetch(path, { signal });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error([told.detail ?? `it cannot be had (status ${answer.status})`, told.mend].filter(Boolean).join("; "));
}
