// An answer put to the test: its verdict, its numbers, and how fast the prediction falls.

import { verdict } from "./card.js";
import { html, pictures, svg } from "./dom.js";
import { drop, falls, percent } from "./words.js";

const WIDTH = 340, HEIGHT = 170, LEFT = 34, RIGHT = 106, TOP = 10, BOTTOM = 34; // pixels
const ORDERS = [["attention", "by the weights"], ["occlusion", "by occlusion"], ["random", "at random"]];

/** Fills the section with what GET /attention/{id}/faithfulness found. */
export function drawTrial(host, found) {
  const rank = found.leave_one_out.rank_correlation;
  const [first] = found.leave_one_out.top;
  host.hidden = false;
  host.replaceChildren(
    html("div", { class: "row spread" }, html("h2", { id: "trial-title" }, "The test"), html("div", { class: "row links" }, pictures(`/attention/${found.id}/faithfulness`, found.sequence))),
    html("p", {}, verdict(found.verdict), ` ${found.reason[0].toUpperCase()}${found.reason.slice(1)}.`),
    html("div", { class: "columns" }, numbers(found), curves(found)),
    html("p", { class: "quiet" }, first.change > 0 ? `Left out alone, step ${first.step} changes the prediction most (${drop(first.change)}; it has ${percent(first.weight)} of the weight). ` : "No step changes the prediction when it is left out alone. ",
      rank === null ? "Either weights or changes are the same for all steps." : `Over all steps, weights and changes correlate by rank: ${rank.toFixed(2)}.`),
    html("p", { class: "quiet" }, `A removed step holds ${BASELINES[found.baseline]}. Changes are in ${unit(found.unit)}; random is the mean of ${found.draws} orders.${together(found.leave_one_out.width)}`),
  );
}

const BASELINES = { mean: "the training mean of each feature", sequence: "the mean of the sequence", last: "the last value kept", zero: "zero", unknown: "a character that the model has never seen" };
const together = (width) => (width > 1 ? ` The sequence is long: ${width} neighbouring steps are left out together.` : "");
const unit = (text) => (text.startsWith("probability") ? `the ${text}` : text);

function numbers(found) {
  const row = (name, { attention, occlusion, random }, good) =>
    html("tr", {}, html("th", { scope: "row" }, name, html("small", {}, good)), [attention, occlusion, random].map((value) => html("td", {}, drop(value))));
  return html("table", {},
    html("caption", {}, `How much the prediction ${falls(found.unit)}, the mean over five shares of the steps`),
    html("thead", {}, html("tr", {}, html("td", {}), ORDERS.map(([, name]) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, row("without the first steps", found.comprehensiveness, "more is better"), row("with them alone", found.sufficiency, "less is better")));
}

/** How much the prediction drops or moves against the share of the steps that are removed, a line for each order. */
function curves(found) {
  const { shares } = found;
  const drops = (order) => shares.map((share) => share.without[order]);
  const low = Math.min(0, ...ORDERS.flatMap(([order]) => drops(order))), high = Math.max(0.05, ...ORDERS.flatMap(([order]) => drops(order)));
  const x = (index) => LEFT + ((WIDTH - LEFT - RIGHT) * index) / (shares.length - 1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
  const lines = ORDERS.map(([order]) => svg("path", { class: `curve ${order}`, d: drops(order).map((value, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("") }));
  const ends = apart(ORDERS.map(([order, name]) => ({ name, order, y: y(drops(order).at(-1)) + 4 })));
  const names = ends.map((end) => svg("text", { class: `size ${end.order}`, x: x(shares.length - 1) + 6, y: end.y }, end.name));
  const ticks = shares.map(({ share }, i) => svg("text", { class: "tick", x: x(i), y: HEIGHT - 18 }, `${Math.round(share * 100)} %`));
  const sides = [0, high].map((value) => [svg("text", { class: "tick side", x: LEFT - 6, y: y(value) + 4 }, drop(value)), svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) })]);
  const label = `How much the prediction ${falls(found.unit)}, by share of steps removed. ${ORDERS.map(([order, name]) => `${name}: ${drops(order).map(drop).join(", ")}`).join("; ")}`;
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
