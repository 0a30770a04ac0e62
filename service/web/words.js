// Numbers and verdicts in words.

const SOME = 6; // values of a list

/** A probability or weight: 98.3 %; below 1 % with two digits that count. */
export function percent(share) {
  if (share > 0.999 && share < 1) return "> 99.9 %";
  if (share === 0 || share >= 0.0095) return `${(100 * share).toFixed(1)} %`;
  return share >= 1e-5 ? `${Number((100 * share).toPrecision(2))} %` : "< 0.001 %";
}

/** A value in four digits. */
export const number = (value) => String(Number(value.toPrecision(4))).replace("-", "−");

/** Values as a list of the first few. */
export const some = (values) => values.slice(0, SOME).map(number).join(", ") + (values.length > SOME ? ", …" : "");

/** A change of the prediction, in two decimals, never −0; of a value of which it is not known what is little, in three digits. */
export function drop(value, unit = "") {
  if (unit.startsWith("value")) return String(Number(value.toPrecision(3))).replace("-", "−");
  return Math.abs(value) < 0.005 ? "0.00" : value.toFixed(2).replace("-", "−");
}

/** What a prediction does where a step is missing: a probability drops, a value moves. unit: of these changes. */
export const falls = (unit) => (/^(value|standard)/.test(unit) ? "moves" : "drops");

/** What an answer says: {headline, share: 0..1 or null, sure: a sentence}. */
export function inWords(manifest, { prediction, label, probability }) {
  if (manifest.task === "sequence") {
    return { headline: prediction || "(nothing)", share: probability, sure: `probability ${percent(probability)}` };
  }
  if (manifest.task === "binary") {
    const share = label === manifest.labels[1] ? prediction : 1 - prediction;
    return { headline: label, share, sure: `probability ${percent(share)}` };
  }
  if (manifest.task === "multiclass") return ofMany(manifest.labels, label, prediction);
  const values = [prediction].flat();
  const sure = values.length > 1 ? `the next ${values.length} values` : "the value predicted";
  return { headline: some(values), share: null, sure };
}

function ofMany(labels, label, probabilities) {
  const order = probabilities.map((share, index) => [share, labels[index]]).sort(([a], [b]) => b - a);
  const next = order.slice(1, 3).filter(([share]) => share >= 0.001).map(([share, name]) => `; ${name} ${percent(share)}`);
  return { headline: label, share: order[0][0], sure: `probability ${percent(order[0][0])}${next.join("")}` };
}

/** What is to be said of a low rank correlation beside a verdict that it seems to contradict; else null. */
export const ofRank = (rank, verdict) =>
  (verdict === "supported" && rank < 0.5 ? "Where a few steps matter, the order of all the others is chance: it is low even for weights that are right." : null);

/** The verdict on a model's weights: {word, why}. */
export function ofModel(manifest) {
  const found = manifest.faithfulness;
  if (manifest.attention === null) return { word: "no weights", why: "This model has no attention: there is a prediction, and nothing to believe or to doubt." };
  if (found === null) return { word: "not tested", why: "Nobody has put this model's weights to the test." };
  const [falls, unit] = manifest.training?.target_std ? ["moves", " (standard deviations)"] : ["drops", ""];
  const drops =
    `On ${found.samples} test sequences the prediction ${falls} by ${drop(found.comprehensiveness)} without the heaviest steps, ` +
    `by ${drop(found.random_comprehensiveness)} without random ones${unit}.`;
  return { word: found.verdict, why: drops };
}

/** What the place of the attention means for the reader; null where it means nothing special. */
export function caution(manifest) {
  if (manifest.attention?.position !== "after") return null;
  return "The weights lie on the states of the LSTM, which carry on what came before: a heavy step may speak of earlier ones.";
}

/** Whether attention helps the quality, beside the plain LSTM. */
export function besideTwin({ metric, twin }) {
  if (!twin) return null;
  const shown = metric === "rmse" ? number(twin.mean) : percent(twin.mean);
  const effect = { gains: "attention gains", costs: "attention costs", "no clear difference": "no clear difference" };
  return `${shown} (${effect[twin.effect]})`;
}

/** What is said as a sentence of its own. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** A character; of one that cannot be seen by itself, its code point. */
export const visible = (character) =>
  (/^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(character) ? character : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);

/** A JSON pointer into a request as one counts on the page: sequences from 1, as they are picked, steps from 0, as they are drawn. */
export function place(pointer) {
  const found = pointer.match(/^\/sequences\/(\d+)(?:\/(\d+))?(?:\/(\d+))?$/);
  if (found === null) return pointer;
  const [sequence, step, column] = found.slice(1);
  const parts = [`sequence ${Number(sequence) + 1}`, step && `step ${step}`, column && `column ${Number(column) + 1}`];
  return parts.filter(Boolean).join(", ");
}

/** A time, in the reader's own zone. */
export const time = (text) =>
  new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The steps of largest weight: indices, heaviest first. */
export function heaviest(sizes, count = 3) {
  const order = sizes.map((size, step) => [size, step]).sort(([a, i], [b, j]) => b - a || i - j);
  return order.slice(0, count).filter(([size]) => size > 0).map(([, step]) => step);
}
