// The data of a chart that follow from the weights, as the server makes them (explanations/charts/panels.py): while a value is
// dragged, the page does not ask for another definition.

import { heaviest } from "./words.js";

const COLUMNS = 800; // steps that are drawn one by one; of more, neighbours together
const LANES = 24; // features that are drawn at most
const NEAR = 0.06; // of all steps: labels as near would be on top of each other

/** {cells, weights, weights-top, top}, rows by the name of the data; attention: (time) or null, perFeature: (time, feature) or null. */
export function rowsOf({ attention, perFeature }, features) {
  if (attention === null) return {};
  const [sizes, top] = [attention.map(Math.fround), heaviest(attention)];
  const every = Math.ceil(sizes.length / COLUMNS);
  const far = apart(top, NEAR * sizes.length);
  const bands = perFeature ? features.slice(0, LANES).map((row, column) => [row, perFeature.map((all) => Math.fround(all[column]))]) : [["weight", sizes]];
  return {
    cells: bands.flatMap(([row, of]) => largest(of, every).map(([start, end, size]) => ({ step: start - 0.5, end: end - 0.5, row, size }))),
    weights: largest(sizes, every).map(([start, end, size]) => ({
      step: start - 0.5 + 0.1 * every, end: start + every - 0.5 - 0.1 * every, size, top: top.some((step) => start <= step && step < end),
    })),
    "weights-top": far.map((step) => ({ step, size: sizes[step], text: told(sizes[step]) })),
    top: top.map((step) => ({ step, text: far.includes(step) ? String(step) : "" })),
  };
}

/** The largest of so many neighbours each: [first step, step behind the last, size]. */
function largest(sizes, every) {
  if (every === 1) return sizes.map((size, step) => [step, step + 1, size]);
  return Array.from({ length: Math.ceil(sizes.length / every) }, (_, column) => {
    const part = sizes.slice(column * every, (column + 1) * every);
    return [column * every, column * every + part.length, Math.max(...part)];
  });
}

/** Of the top steps those that are not near a more important one. */
function apart(top, near) {
  const kept = [];
  for (const step of top) if (kept.every((other) => Math.abs(step - other) >= near)) kept.push(step);
  return kept;
}

/** A share in percent with two digits that count. */
function told(share) {
  if (share >= 0.0095) return `${(100 * share).toFixed(0)}%`;
  return share >= 1e-5 ? `${Number((100 * share).toPrecision(2))}%` : "<0.001%";
}
