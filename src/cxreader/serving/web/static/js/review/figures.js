/** Figures of the review, drawn from the tables beside them: what a figure shows, its table says. */

import uPlot from "../../vendor/uplot-1.6.32.esm.js";

const HEIGHT = 260;
const drawn = [];

/** @returns {(name: string) => string} colours of the theme */
function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

/**
 * A column of a table's rows as numbers, the earliest week first, null where a row lacks it.
 * @param {HTMLTableElement} table
 * @param {string} name of the data attribute
 */
function column(table, name) {
  const rows = [...table.tBodies[0].rows].reverse();
  return rows.map((row) => (row.dataset[name] === undefined ? null : Number(row.dataset[name])));
}

/** Ticks at Mondays, of which as many as have room. */
function mondays(figure) {
  const all = figure.data[0];
  const step = Math.max(1, Math.ceil((all.length * 52) / figure.width));
  return all.filter((_, number) => number % step === 0);
}

/** Axes and size that all figures share. */
function base(width, colour, percent) {
  const grid = { stroke: colour("line"), width: 1 };
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colour("muted"), grid, ticks: grid, font };
  const date = new Intl.DateTimeFormat("en-CA", { timeZone: "UTC", month: "2-digit", day: "2-digit" });
  const values = (_, marks) => marks.map((mark) => date.format(new Date(mark * 1000)));
  const share = { values: (_, marks) => marks.map((mark) => `${Math.round(100 * mark)} %`) };
  const top = percent ? () => [0, 1] : (_, low, high) => [0, Math.max(5, high * 1.1)];
  return {
    width,
    height: HEIGHT,
    axes: [{ ...axis, values, splits: mondays }, { ...axis, ...(percent ? share : {}), size: 52 }],
    scales: { x: { time: false }, y: { range: top } },
  };
}

const week = { label: "Week of", value: (_, at) => (at === null ? "point at it" : new Date(at * 1000).toISOString().slice(0, 10)) };

/** The share of rejected alarms with its interval. */
function share(figure, table, colour) {
  const data = ["x", "y", "low", "high"].map((name) => column(table, name));
  const value = (_, one) => (one === null ? "none" : `${Math.round(100 * one)} %`);
  const line = { stroke: colour("accent"), width: 2, points: { show: true, size: 7, fill: colour("accent") } };
  const end = { stroke: colour("muted"), width: 1, dash: [4, 4], points: { show: false }, value };
  const series = [week, { label: "Rejected", value, ...line }, { label: "from", ...end }, { label: "to", ...end }];
  const bands = [{ series: [3, 2], fill: `${colour("accent")}22` }];
  return new uPlot({ ...base(figure.clientWidth, colour, true), series, bands }, data, figure);
}

/** Images, alarms and refusals by week, told apart by dashes too. */
function counts(figure, table, colour) {
  const data = ["x", "y", "alarms", "refused"].map((name) => column(table, name));
  const line = (label, name, dash) => ({ label, stroke: colour(name), width: 2, dash, points: { show: true, size: 5 } });
  const series = [week, line("Images", "accent"), line("Alarms", "alarm", [8, 4]), line("Refused", "warn", [2, 4])];
  return new uPlot({ ...base(figure.clientWidth, colour, false), series }, data, figure);
}

const KINDS = { share, counts };

function draw() {
  while (drawn.length) drawn.pop().destroy();
  for (const figure of document.querySelectorAll("figure[data-figure]")) {
    const table = document.getElementById(figure.dataset.of);
    drawn.push(KINDS[figure.dataset.figure](figure, table, colours()));
    figure.querySelector("canvas").setAttribute("aria-hidden", "true");
  }
}

let asked = 0;
function soon() {
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(draw);
}

draw();
addEventListener("resize", soon);
new MutationObserver(soon).observe(document.documentElement, { attributeFilter: ["data-theme"] });
