/** Drawing with WebGL2: values of 16 bits as integers, four of them mixed, then looked up in the table of greys. */

import { level, levelFor } from "./picture.js";
import { matrixToTexels } from "./view.js";

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D values;
uniform usampler2D greys;
uniform ivec2 size;
uniform vec2 extent;
uniform vec2 corner;
uniform mat3x2 toTexels;
out vec4 colour;
void main() {
  vec2 at = toTexels * vec3(gl_FragCoord.x - corner.x, corner.y - gl_FragCoord.y, 1.0);
  if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, extent))) {
    colour = vec4(0.0, 0.0, 0.0, 1.0);
    return;
  }
  vec2 low = floor(at - 0.5);
  vec2 part = at - 0.5 - low;
  ivec2 a = max(ivec2(low), ivec2(0));
  ivec2 b = min(ivec2(low) + 1, size - 1);
  vec4 four = vec4(texelFetch(values, a, 0).r, texelFetch(values, ivec2(b.x, a.y), 0).r,
                   texelFetch(values, ivec2(a.x, b.y), 0).r, texelFetch(values, b, 0).r);
  vec2 two = mix(four.xz, four.yw, part.x);
  int value = int(mix(two.x, two.y, part.y) + 0.5);
  float grey = float(texelFetch(greys, ivec2(value & 255, value >> 8), 0).r) / 255.0;
  colour = vec4(grey, grey, grey, 1.0);
}`;

/** Draws a picture on a canvas. Throws where the browser has no WebGL2, or only one in software, which Canvas 2D outruns. */
export class GlRenderer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{software?: boolean, limit?: number}} [options] `software`: take that too; `limit`: texels a side, for the machine's own
   */
  constructor(canvas, { software = false, limit = Infinity } = {}) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl || (isSoftware(gl) && !software)) throw new Error("no WebGL2 that a graphics card draws");
    this.name = "WebGL2";
    this.gl = gl;
    this.limit = Math.min(limit, gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.program = linked(gl);
    this.at = Object.fromEntries(
      ["values", "greys", "size", "extent", "corner", "toTexels"].map((n) => [
        n,
        gl.getUniformLocation(this.program, n),
      ]),
    );
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    this.greys = texture(gl);
    this.textures = [];
  }

  /** Show another picture. @param {import('./picture.js').Picture} picture */
  setPicture(picture) {
    for (const one of this.textures) this.gl.deleteTexture(one);
    this.picture = picture;
    this.textures = [];
    this.table = null;
  }

  /** Whether the picture does not fit this machine's textures, so that less than all of its pixels are drawn. */
  get reduced() {
    return levelFor(this.picture, 1, this.limit) > 0;
  }

  /** Draw in a rectangle of the canvas, in device pixels. @param {import('./view.js').View} view @param {Uint8Array} table */
  draw(view, table, { x, y, width, height }) {
    const { gl, at } = this;
    const number = levelFor(this.picture, view.scale, this.limit);
    const of = level(this.picture, number);
    gl.useProgram(this.program);
    gl.activeTexture(gl.TEXTURE1);
    this.#setTable(table);
    gl.activeTexture(gl.TEXTURE0);
    this.#bindLevel(number);
    gl.uniform1i(at.values, 0);
    gl.uniform1i(at.greys, 1);
    gl.uniform2i(at.size, of.columns, of.rows);
    gl.uniform2f(at.extent, of.across, of.down);
    gl.uniform2f(at.corner, x, gl.drawingBufferHeight - y);
    gl.uniformMatrix3x2fv(at.toTexels, false, matrixToTexels(view, { width, height }, this.picture, of));
    gl.viewport(x, gl.drawingBufferHeight - y - height, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** What was drawn in this task, from the top. @returns {Uint8Array} greys, row by row */
  read() {
    const { gl } = this;
    const [w, h] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const rgba = new Uint8Array(4 * w * h);
    gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    return Uint8Array.from({ length: w * h }, (_, n) => rgba[4 * ((h - 1 - Math.floor(n / w)) * w + (n % w))]);
  }

  /** Give back what the machine lent. */
  dispose() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #setTable(table) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.greys);
    if (this.table === table) return;
    this.table = table;
    const padded = table.length % 256 ? new Uint8Array(256 * Math.ceil(table.length / 256)) : table;
    if (padded !== table) padded.set(table);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8UI, 256, padded.length / 256, 0, gl.RED_INTEGER, gl.UNSIGNED_BYTE, padded);
  }

  #bindLevel(number) {
    const { gl } = this;
    if (this.textures[number]) {
      gl.bindTexture(gl.TEXTURE_2D, this.textures[number]);
      return;
    }
    const { values, columns, rows } = level(this.picture, number);
    this.textures[number] = texture(gl);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, values);
  }
}

/** Whether the processor draws, by the name that the browser gives; one that hides it is taken for a graphics card. */
function isSoftware(gl) {
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(
    told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : "",
  );
}

/** A new texture of integers, bound. */
function texture(gl) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const what of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, what, gl.NEAREST);
  return made;
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("the shaders cannot be linked");
  return program;
}
