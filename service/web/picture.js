// The chart of what the bench holds: drawn by the server's definition, with what the page alone knows put into its data.

import { latest, post } from "./api.js";
import { vega } from "./chart.js";
import { theme } from "./dom.js";

/** Draws what the server makes of the sequence and its answer. */
export const drawChart = latest(async (bench) => {
  const { answer, chart, sequence } = bench;
  if (sequence === null && !(bench.text && answer.attention)) return chart.clear();
  try {
    const [definition] = await Promise.all([post(`/attention/draw.vl.json?theme=${theme()}`, parts(bench)), vega()]);
    if (sequence !== bench.given && bench.edited === null) return undefined; // something else is on the bench, and drawn next
    const { datasets = {}, usermeta } = definition;
    await chart.show(definition, choices(bench, datasets.values), axes(bench, usermeta.panels ?? [], datasets));
    if (sequence === bench.given) bench.first = { ...datasets, axes: chart.axes() };
    return undefined;
  } catch (error) {
    return bench.fail(error);
  }
});

/** Draws what is chosen, masked and moved, in the chart as it is. */
export function drawChoices(bench) {
  const { chart } = bench;
  const chosen = choices(bench, chart.rows("values"));
  return chart.put(chosen, axes(bench, chart.panels, { values: chart.rows("values"), weights: chart.rows("weights"), ...chosen }));
}

/** What the server draws a chart of. */
function parts({ answer, manifest, sequence, text, trial }) {
  const { name: model, version, features } = manifest;
  const { attention, label, perFeature, prediction, probability } = answer;
  const common = { model, version, attention: perFeature ?? attention, label };
  if (text) return { ...common, text: sequence ?? "·".repeat(attention[0].length), answer: prediction, prediction: probability };
  return { ...common, features, sequence, prediction, importance: trial?.leave_one_out?.changes };
}

/**
 * Rows of the data that are the page's own, see choosing.py, and of the values, where one was moved: what the server draws is
 * a little behind.
 */
function choices({ edited, first, manifest, moved, picked, swept }, values) {
  const [from, to] = swept ?? edited?.masked ?? [];
  const feature = manifest.features[picked.feature];
  const was = edited ? first : {};
  return {
    picked: [{ step: picked.step }],
    masked: from === undefined ? [] : [{ step: from - 0.5, end: to + 0.5 }],
    before: copies(was.values?.filter((row) => row.feature === feature)),
    "weights-before": copies(was.weights),
    ...(moved && values && { values: copies([...values.filter((row) => !same(row, moved)), moved]) }),
  };
}

const same = (row, other) => row.step === other.step && row.feature === other.feature;

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

/** Rows without what Vega has noted on them. */
const copies = (rows = []) => rows.map((row) => Object.fromEntries(Object.entries(row)));
