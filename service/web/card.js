// What a model is, how good it is beside what needs no attention, and how far its weights can be believed.

import { html } from "./dom.js";
import { besideTwin, caution, number, ofModel, ofRank, percent } from "./words.js";

const TASKS = { binary: "one of two classes", multiclass: "one of several classes", regression: "a value", forecast: "the next value", sequence: "text to text" };

/** Fills the card of a model; info: an entry of GET /models. */
export function drawCard(host, info, notes) {
  const { manifest } = info;
  host.replaceChildren(
    html("h2", {}, `${manifest.name}, version ${manifest.version}`),
    facts([
      ["Answers", manifest.horizon > 1 ? `the next ${manifest.horizon} values` : TASKS[manifest.task]],
      ["Takes", info.expects],
      ["Attention", manifest.attention && attention(manifest.attention)],
      ["Trained on", manifest.training && `${manifest.training.samples} sequences: ${manifest.training.data}`],
      ["Runs on", info.provider ?? info.state],
    ]),
    ...quality(manifest.quality),
    ...weights(manifest),
    ...notes.map((note) => html("p", { class: "note" }, note)),
  );
}

function quality(found) {
  if (!found) return [html("h3", {}, "How good it is"), html("p", { class: "quiet" }, "It does not say.")];
  const say = (value) => (found.metric === "rmse" ? number(value) : percent(value));
  const { interval, baseline } = found;
  return [
    html("h3", {}, "How good it is"),
    facts([
      [`${name(found.metric)}, ${found.samples} test sequences`, html("strong", {}, say(found.mean))],
      ["95 % interval of the mean", interval && `${say(interval.low)} to ${say(interval.high)}`],
      ["Plain LSTM of the same size", besideTwin(found)],
      [`Without a model (${baseline?.name})`, baseline && say(baseline.value)],
    ]),
  ];
}

function weights(manifest) {
  const { word, why } = ofModel(manifest);
  const rank = manifest.faithfulness?.rank_correlation ?? null;
  return [
    html("h3", {}, "What its weights are worth"),
    html("p", {}, verdict(word)),
    html("p", { class: "quiet" }, why),
    facts([["Rank correlation with leaving out each step", rank !== null && rank.toFixed(2)]]),
    rank !== null && ofRank(rank, word) && html("p", { class: "quiet" }, ofRank(rank, word)),
    caution(manifest) && html("p", { class: "quiet" }, caution(manifest)),
  ].filter(Boolean);
}

/** A verdict as a word with a mark that does not need colour. */
export const verdict = (word) => html("span", { class: "mark", "data-verdict": word }, word);

const facts = (pairs) =>
  html("dl", {}, pairs.filter(([, value]) => value).map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));

/** Its kind and place; of a model that was brought nothing is known but what the weights are over. */
const attention = ({ axes, kind, position }) => (position === "custom" ? `the model's own, over ${axes.join(" and ")}` : `${kind}; ${where(position)}`);
const where = (position) => (position === "decoder" ? "over what was read, at each character written" : `${position} the LSTM`);
const name = (metric) => (metric === "rmse" ? "RMSE (less is better)" : metric[0].toUpperCase() + metric.slice(1));
