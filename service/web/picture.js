// The chart of what the bench holds: drawn by the server's definition, with what the page alone knows put into its data.

import { latest, post } from "./api.js";
import { plain, vega } from "./chart.js";
import { byId, html, theme } from "./dom.js";
import { fail } from "./problem.js";
import { rowsOf } from "./rows.js";

const NONE = []; // the same each time: what is drawn is not drawn again
const SETTLED_AFTER = 400; // ms without a change until the server is asked for the chart of it

/** Draws what the server makes of the answer and the sequence that it is of. */
export const drawChart = latest(async (bench) => {
  const { answer, chart, givenAnswer, late } = bench;
  const sequence = late === "empty" ? "" : bench.answered;
  const done = (...children) => {
    if (children.length) chart.clear(...children);
    bench.charted = { givenAnswer, sequence };
    markChart(bench);
  };
  if (sequence === "" || (sequence === null && answer.attention === null)) return done("");
  const wanted = () => bench.givenAnswer === givenAnswer && (sequence === bench.given || bench.edited !== null);
  try {
    const [definition] = await Promise.all([post(`/attention/draw.vl.json?theme=${theme()}`, parts(bench)), vega()]);
    if (!wanted()) return undefined; // something else is on the bench, and drawn next
    await show(bench, definition, sequence, wanted);
    done();
    return fail(null, "chart");
  } catch (error) {
    if (!wanted()) return undefined;
    if (!isCharted(bench)) done(html("p", { class: "quiet" }, "The chart could not be drawn."));
    return fail(error, "chart");
  }
});

/** Whether the chart is of what the bench holds; but for changes of numbers, which are put into it. */
export const isCharted = ({ charted, givenAnswer, sequence, text }) =>
  charted.givenAnswer === givenAnswer && (!text || charted.sequence === sequence);

/** Marks a chart that is not. */
export const markChart = (bench) => byId("chart").setAttribute("aria-busy", !isCharted(bench));

async function show(bench, definition, sequence, wanted) {
  const { chart } = bench;
  const { datasets = {}, usermeta } = definition;
  const first = sequence === bench.given && { values: copies(datasets.values), weights: copies(datasets.weights) };
  if (bench.first.axes && bench.moved.length && chart.fits(definition)) delete datasets.values; // those of the chart are newer
  await chart.show(definition, choices(bench), axes(bench, usermeta.panels ?? [], { values: chart.rows("values"), ...datasets }));
  if (!wanted()) return;
  if (first) bench.first = { ...first, axes: chart.axes() };
  if (bench.moved.length) drawChoices(bench);
}

let settling;

/** Draws what became of a change: at once what follows from the answer, and all of it when no other change comes. */
export function drawChanged(bench) {
  drawChoices(bench);
  settle(bench);
}

function settle(bench) {
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (bench.pointer.held) settle(bench);
    else if (bench.edited) drawChart(bench);
  }, bench.text ? 0 : SETTLED_AFTER);
}

/** Draws what is chosen, masked, moved, and weighs differently now, in the chart as it is. */
export const drawChoices = latest(async (bench) => {
  const { answer, chart, edited, manifest, moved, text } = bench;
  if (!isCharted(bench)) return;
  if (edited && !text) answer.rows ??= rowsOf(answer, manifest.features);
  if (moved.length) await chart.replace("values", moved, rowKey);
  const rows = { weights: chart.rows("weights"), ...answer.rows };
  await chart.put({ ...rows, ...choices(bench) }, axes(bench, chart.panels, { ...rows, values: [...chart.rows("values") ?? NONE, ...moved] }));
});

/** Which value a row is of. */
export const rowKey = ({ feature, step }) => `${step} ${feature}`;

/** What the server draws a chart of. */
function parts({ answer, answered: sequence, done: { trial }, manifest, text }) {
  const { name: model, version, features } = manifest;
  const { attention, label, perFeature, prediction, probability } = answer;
  const common = { model, version, attention: perFeature ?? attention, label };
  if (text) return { ...common, text: sequence ?? "·".repeat(attention[0].length), answer: prediction, prediction: probability };
  if (!trial?.leave_one_out) return { ...common, features, sequence, prediction };
  const { baseline, leave_one_out: { changes, width }, unit } = trial;
  return { ...common, features, sequence, prediction, importance: changes, width, baseline, unit };
}

/** Rows of the data that are the page's own, see choosing.py. */
function choices({ done: { trial }, edited, first, manifest, picked, swept }) {
  const masked = [...stretches(edited?.masked ?? NONE), ...(swept ? [swept] : NONE)];
  const name = manifest.features[picked.feature];
  first.before ??= Object.groupBy(first.values ?? NONE, ({ feature }) => feature);
  return {
    picked: [{ step: picked.step }],
    masked: masked.map(([from, to]) => ({ step: from - 0.5, end: to + 0.5 })),
    before: (edited && first.before[name]) ?? NONE,
    "weights-before": (edited && first.weights) ?? NONE,
    ...(trial ? {} : { changes: NONE, "changes-top": NONE }),
  };
}

/** Steps as stretches without a gap, [first, last]. */
function stretches(steps) {
  const found = [];
  for (const step of [...new Set(steps)].sort((a, b) => a - b)) {
    if (found.at(-1)?.[1] === step - 1) found.at(-1)[1] = step;
    else found.push([step, step]);
  }
  return found;
}

/** Ends of axes on which there is room for what was, too; those of values stay as they are while a point is dragged. */
function axes({ chart, edited, first, pointer }, panels, { values, weights }) {
  if (edited === null || !first.axes) return {};
  const drawn = pointer.held?.panel ? chart.axes() : {};
  const sizes = {
    values: (features) => values.filter(({ feature }) => features.includes(feature)).map(({ value }) => value),
    weights: () => weights.map(({ size }) => size),
  };
  const ends = ([low, high], all) => [Math.min(low, ...all), Math.max(high, ...all)];
  const held = ({ features, kind, name }) => (kind === "values" && drawn[name]) || ends(first.axes[name], sizes[kind](features));
  return Object.fromEntries(panels.filter(({ kind }) => kind in sizes).map((panel) => [panel.name, held(panel)]));
}

const copies = (rows = []) => rows.map(plain);
