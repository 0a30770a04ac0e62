// What the bench holds, as one sees it: the answer, whether to believe it, the chart, and what can be changed.

import { verdict } from "./card.js";
import { byId, html, pictures } from "./dom.js";
import { drawChart } from "./picture.js";
import { drawTrial } from "./trial.js";
import { drop, falls, heaviest, inWords, number, ofModel, percent } from "./words.js";

export const KEEPS = document.documentElement.dataset.store !== "none";
const HINT = "Drag a point to change a value; drag across the bars to mask those steps. The model answers as you go.";

/** Draws everything that a bench holds; see `Bench`. */
export function draw(bench) {
  drawWords(bench);
  drawChart(bench);
}

/** Draws all but the chart. */
export function drawWords(bench) {
  drawAnswer(bench);
  drawBelief(bench);
  drawTop(bench);
  drawLinks(bench);
  drawControls(bench);
}

function drawAnswer(bench) {
  const said = inWords(bench.manifest, bench.answer);
  byId("headline").textContent = said.headline;
  byId("share").hidden = said.share === null;
  byId("share").firstElementChild.style.width = `${100 * (said.share ?? 0)}%`;
  let more = bench.truth === null ? "" : `; the true answer: ${typeof bench.truth === "number" ? number(bench.truth) : bench.truth}`;
  if (bench.edited) {
    const was = inWords(bench.manifest, bench.answers[bench.index]);
    more = `; was ${was.headline}${was.share === null ? "" : ` with ${percent(was.share)}`}`;
  }
  byId("sure").textContent = said.sure + more;
  document.title = `${said.headline} · ${bench.manifest.name} · attention-lstm`;
  bench.sayLater(`${said.headline}, ${said.sure}${bench.edited ? more : ""}`);
}

function drawBelief(bench) {
  const { word, why } = belief(bench);
  byId("verdict").replaceChildren(verdict(word), html("span", { class: "quiet" }, bench.trial ? "this answer" : "this model, as a rule"));
  byId("why").textContent = why;
  byId("test").hidden = Boolean(bench.trial) || !bench.manifest.attention || !bench.changeable;
  byId("trial").hidden = true;
  if (bench.trial?.verdict) drawTrial(byId("trial"), bench.trial);
}

function belief(bench) {
  if (bench.trial?.verdict) return { word: bench.trial.verdict, why: `${bench.trial.reason[0].toUpperCase()}${bench.trial.reason.slice(1)}.` };
  if (bench.trial) {
    if (bench.trial.fast === null) return { word: "not tested", why: "The answer is empty: there is nothing to test." };
    const { comprehensiveness, random_comprehensiveness: random, unit } = bench.trial.fast;
    return { word: "tested in part", why: `Without the heaviest steps the prediction ${falls(unit)} by ${drop(comprehensiveness)}, without random ones by ${drop(random)}. For a verdict the server has to keep explanations.` };
  }
  if (!bench.served) return { word: "not known", why: "What its weights are worth was written in its model's card, which is gone with the model." };
  return ofModel(bench.manifest);
}

function drawTop(bench) {
  const { attention, unknown } = bench.answer;
  if (bench.text) {
    const missing = (unknown ?? []).map(({ character }) => character).join(" ");
    byId("top").textContent = missing ? `Unknown to the model: ${missing}` : "Each row is a character written, each column one that was read.";
    return;
  }
  const button = (step) => html("button", { type: "button", class: "step", click: () => bench.pick(step) }, `step ${step} `, html("b", {}, percent(attention[step])));
  const nothing = "This model has no attention: there are no weights to show.";
  byId("top").replaceChildren(...(attention ? ["Most weight: ", ...heaviest(attention).map(button)] : [nothing]));
}

function drawLinks(bench) {
  const keep = html("button", { type: "button", click: () => bench.attempt(() => bench.keep()) }, "Keep and link");
  if (bench.id === null) return byId("links").replaceChildren(...(KEEPS && bench.changeable ? [keep] : []));
  const drawn = bench.sequences[bench.index] === null ? [] : pictures(`/attention/${bench.id}`, bench.index);
  return byId("links").replaceChildren(html("a", { href: bench.address() }, "Link to this"), ...drawn);
}

/** Draws the controls of the change alone. */
export function drawControls(bench) {
  byId("text-field").hidden = !bench.text;
  byId("text").disabled = !bench.changeable;
  byId("change").hidden = bench.text || !bench.changeable;
  byId("hint").hidden = !bench.changeable && bench.note === null;
  byId("hint").textContent = bench.note ?? (bench.text ? "Change the text: the model answers as you type." : HINT);
  byId("reset").disabled = bench.edited === null;
  if (bench.text || !bench.changeable) return;
  const { step, feature } = bench.picked;
  const last = bench.sequence.length - 1;
  for (const id of ["step", "from", "to"]) byId(id).max = last;
  byId("step").value = step;
  byId("step-shown").textContent = step;
  byId("feature").value = feature;
  if (document.activeElement !== byId("value") || Number(byId("value").value) !== bench.sequence[step][feature]) byId("value").value = bench.sequence[step][feature];
  const column = bench.sequence.map((row) => row[feature]);
  const spread = Math.max(...column) - Math.min(...column) || 1;
  byId("value").step = Number((10 ** Math.floor(Math.log10(spread / 20))).toPrecision(1));
}
