// An answer put to the test: its verdict, its numbers, and how fast the prediction falls.

import { verdict } from "./card.js";
import { html, pictures, svg } from "./dom.js";
import { drop, falls, ofRank, percent, sentence } from "./words.js";

const WIDTH = 340, HEIGHT = 170, LEFT = 34, RIGHT = 106, TOP = 10, BOTTOM = 34; // pixels
const ORDERS = [["attention", "by the weights"], ["occlusion", "by occlusion"], ["random", "at random"]];

/** Fills the section with what GET /attention/{id}/faithfulness found of what a bench shows. */
export function drawTrial(host, found, bench) {
  host.hidden = false;
  host.replaceChildren(
    html("div", { class: "row spread" }, html("h2", { id: "trial-title" }, "The test"), html("div", { class: "row links" }, pictures(`/attention/${found.id}/faithfulness`, found.sequence))),
    html("p", {}, verdict(found.verdict), ` ${sentence(found.reason)}`),
    html("div", { class: "columns" }, numbers(found), curves(found)),
    html("p", { class: "quiet" }, alone(found, bench)),
    html("p", { class: "quiet" }, `${orders(found)} A removed step holds ${BASELINES[found.baseline]}. Changes are in ${unit(found.unit)}.${bench.text ? " A step is a character that was read." : ""}`),
  );
}

const BASELINES = { mean: "the training mean of each feature", sequence: "the mean of the sequence", last: "the last value kept", zero: "zero", unknown: "a character that the model has never seen" };
const unit = (text) => (text.startsWith("probability") ? `the ${text}` : text);

/** What changes most when it is left out alone, a step or in a long sequence neighbours, and whether weights say the same. */
function alone({ leave_one_out: { rank_correlation: rank, top: [first], width }, unit, verdict: word }, { answer, sequence }) {
  const together = width > 1 ? `${width} neighbours together, since the sequence is long` : "alone";
  const change = drop(first.change, unit);
  if (Number(change) === 0) return `Left out ${together}, no step changes the prediction noticeably.`;
  return `Left out ${together}, ${most(first, change, width, answer, sequence)} ${ranks(rank, word)}`;
}

function most({ step, weight }, change, width, answer, sequence) {
  const text = typeof sequence === "string", steps = [...sequence]; // of text, characters as the server counts them
  const name = text ? `${JSON.stringify(steps[step])}, character ${step},` : `step ${step}`;
  if (width === 1) return `${name} changes the prediction most (${change}; it has ${percent(weight)} of the weight).`;
  const from = step - (step % width), to = Math.min(from + width, steps.length) - 1;
  if (text) return `characters ${from} to ${to} change the prediction most (${change}).`;
  const sum = answer.attention.slice(from, to + 1).reduce((a, b) => a + b, 0);
  return `steps ${from} to ${to} change the prediction most (${change}; they have ${percent(sum)} of the weight).`;
}

function ranks(rank, word) {
  if (rank === null) return "Either weights or changes are the same for all steps.";
  return `Over all steps, weights and changes correlate by rank: ${rank.toFixed(2)}. ${ofRank(rank, word) ?? ""}`;
}

/** What the columns mean. */
const orders = ({ draws, unit }) =>
  `The first steps are the heaviest; by occlusion, those without which alone the prediction ${falls(unit)} most; at random, any (the mean of ${draws} orders).`;

function numbers(found) {
  const row = (name, { attention, occlusion, random }, good) =>
    html("tr", {}, html("th", { scope: "row" }, name, html("small", {}, good)), [attention, occlusion, random].map((value) => html("td", {}, drop(value, found.unit))));
  return html("table", {},
    html("caption", {}, `How much the prediction ${falls(found.unit)}, the mean over five shares of the steps`),
    html("thead", {}, html("tr", {}, html("td", {}), ORDERS.map(([, name]) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, row("without the first steps", found.comprehensiveness, "more is better"), row("with them alone", found.sufficiency, "less is better")));
}

/** How much the prediction drops or moves against the share of the steps that are removed, a line for each order. */
function curves(found) {
  const { shares } = found;
  const drops = (order) => shares.map((share) => share.without[order]);
  const all = ORDERS.flatMap(([order]) => drops(order)), least = found.unit.startsWith("value") ? 0 : 0.05; // less is not to look like much
  const low = Math.min(0, ...all), high = Math.max(least, ...all);
  const x = (index) => LEFT + ((WIDTH - LEFT - RIGHT) * index) / (shares.length - 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low || 1));
  const lines = ORDERS.map(([order]) => svg("path", { class: `curve ${order}`, d: drops(order).map((value, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("") }));
  const ends = apart(ORDERS.map(([order, name]) => ({ name, order, y: y(drops(order).at(-1)) + 4 })));
  const names = ends.map((end) => svg("text", { class: `size ${end.order}`, x: x(shares.length - 1) + 6, y: end.y }, end.name));
  const ticks = shares.map(({ share }, i) => svg("text", { class: "tick", x: x(i), y: HEIGHT - 18 }, `${Math.round(share * 100)} %`));
  const sides = [0, high].map((value) => [svg("text", { class: "tick side", x: LEFT - 6, y: y(value) + 4 }, drop(value, found.unit)), svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) })]);
  const label = `How much the prediction ${falls(found.unit)}, by share of steps removed. ${ORDERS.map(([order, name]) => `${name}: ${drops(order).map((value) => drop(value, found.unit)).join(", ")}`).join("; ")}`;
  const title = svg("text", { class: "tick", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3 }, "share of steps removed");
  return svg("svg", { class: "curves", role: "img", "aria-label": label, viewBox: `0 0 ${WIDTH} ${HEIGHT}` }, sides, lines, names, ticks, title);
}

/** Labels moved down, and then up from the axis, so that none covers another. */
function apart(labels) {
  const order = [...labels].sort((a, b) => a.y - b.y);
  order.forEach((label, index) => (label.y = Math.max(label.y, index ? order[index - 1].y + 13 : TOP + 4)));
  order.reverse().forEach((label, index) => (label.y = Math.min(label.y, index ? order[index - 1].y - 13 : HEIGHT - BOTTOM)));
  return labels;
}
