// What the bench holds, as one sees it: the answer, whether to believe it, the chart, and what can be changed.

import { KEEPS } from "./api.js";
import { verdict } from "./card.js";
import { byId, html, pictures } from "./dom.js";
import { keep } from "./keeping.js";
import { drawChart, markChart } from "./picture.js";
import { drawTrial } from "./trial.js";
import { drop, falls, heaviest, inWords, ofModel, percent, sentence, some, visible } from "./words.js";

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
  markChart(bench);
  bench.drawn();
}

function drawAnswer(bench) {
  const { late } = bench;
  const said = late === "empty" ? { headline: "Type a text", share: null, sure: "" } : inWords(bench.manifest, bench.answer);
  byId("work").classList.toggle("late", late === "asking" || late === "failed");
  byId("headline").textContent = said.headline;
  byId("share").hidden = said.share === null;
  byId("share").firstElementChild.style.width = `${100 * (said.share ?? 0)}%`;
  byId("sure").textContent = LATE[late] ?? said.sure + beside(bench);
  document.title = `${said.headline} · ${bench.manifest.name} · attention-lstm`;
  if (late === "asking" || (late === null && !bench.isAnswered)) bench.sayNothing();
  else bench.sayLater(`${said.headline}, ${byId("sure").textContent}`);
}

const LATE = { asking: "asking…", failed: "no answer to this change: this is the answer to what was before" };

/** What is true, a label, a text, a value or a forecast's values, in words. */
const told = (truth) => (typeof truth === "string" ? truth : some([truth].flat()));

/** What an answer is held against: the truth; of a change, what was before it. A text of one's own has neither. */
function beside({ answers, edited, index, manifest, text, truth }) {
  if (edited === null) return truth === null ? "" : `; the true answer: ${told(truth)}`;
  if (text) return "";
  const was = inWords(manifest, answers[index]);
  return `; was ${was.headline}${was.share === null ? "" : ` with ${percent(was.share)}`}`;
}

/** Draws the verdict, and what can be done for one. */
export function drawBelief(bench) {
  const { testing, trial } = bench.done;
  const { word, why } = belief(bench);
  byId("verdict").replaceChildren(verdict(word), html("span", { class: "quiet" }, trial ? "this answer" : "this model, as a rule"));
  byId("why").textContent = why;
  byId("test").hidden = Boolean(trial) || !bench.manifest.attention || !bench.changeable;
  byId("test").disabled = testing || bench.late === "empty";
  byId("test").textContent = testing ? "Testing…" : "Test this answer";
  byId("trial").hidden = true;
  if (trial?.verdict) drawTrial(byId("trial"), trial, bench);
}

function belief({ done: { trial }, manifest, served }) {
  if (trial?.verdict) return { word: trial.verdict, why: sentence(trial.reason) };
  if (trial) {
    if (trial.fast === null) return { word: "not tested", why: "The answer is empty: there is nothing to test." };
    const { comprehensiveness, random_comprehensiveness: random, unit } = trial.fast;
    return { word: "tested in part", why: `Without the heaviest steps the prediction ${falls(unit)} by ${drop(comprehensiveness, unit)}, without random ones by ${drop(random, unit)}. For a verdict the server has to keep ${KEEPS ? "inputs, too: it was told not to (--no-store-inputs)" : "explanations"}.` };
  }
  if (!served) return { word: "not known", why: "What its weights are worth was written in its model's card, which is gone with the model." };
  return ofModel(manifest);
}

function drawTop(bench) {
  const { attention, unknown } = bench.answer;
  if (bench.text) {
    const missing = [...new Set((unknown ?? []).map(({ character }) => visible(character)))].join(" ");
    byId("top").textContent = missing ? `Unknown to the model: ${missing}` : "Each row is a character written, each column one that was read.";
    return;
  }
  const button = (step) => html("button", { type: "button", class: "step", click: () => bench.pick(step) }, `step ${step} `, html("b", {}, percent(attention[step])));
  const nothing = "This model has no attention: there are no weights to show.";
  byId("top").replaceChildren(...(attention ? ["Most weight: ", ...heaviest(attention).map(button)] : [nothing]));
}

/** Draws what is to be had of the kept explanation, or what keeps it. */
export function drawLinks(bench) {
  const disabled = bench.done.keeping !== null || bench.late === "empty";
  const button = html("button", { type: "button", disabled, click: () => keep(bench) }, "Keep and link");
  if (bench.id === null) return byId("links").replaceChildren(...(KEEPS && bench.changeable ? [button] : []));
  const drawn = bench.isWhole ? pictures(`/attention/${bench.id}`, bench.index) : html("span", { class: "quiet" }, "No pictures: inputs are not kept");
  return byId("links").replaceChildren(html("a", { href: bench.address() }, "Link to this"), ...[drawn].flat());
}

/** Draws the controls of the change alone. */
export function drawControls(bench) {
  const { changeable, text } = bench;
  byId("text-field").hidden = !text;
  byId("text").disabled = !changeable;
  byId("change").hidden = text || !changeable;
  byId("hint").textContent = hint(bench);
  byId("reset").hidden = !changeable;
  byId("reset").disabled = bench.edited === null;
  if (!text && changeable) drawSteps(bench);
}

function hint({ changeable, manifest, note, text }) {
  if (!changeable) return note;
  if (text) return "Change the text: the model answers as you type.";
  const held = manifest.training?.feature_means ? "the training mean" : "the mean of the sequence";
  return `Drag a point to change a value${manifest.attention ? "; drag across the bars to mask those steps" : ""}. A masked step holds ${held}. The model answers as you go.`;
}

function drawSteps({ answer, picked: { feature, step }, sequence }) {
  const last = sequence.length - 1;
  for (const id of ["step", "from", "to"]) byId(id).max = last;
  byId("from").placeholder = byId("to").value || step;
  byId("to").placeholder = byId("from").value || step;
  const weight = answer.attention && percent(answer.attention[step]);
  byId("step").value = step;
  byId("step").ariaValueText = weight ? `${step}, weight ${weight}` : step;
  byId("step-shown").textContent = weight ? `${step} · ${weight}` : step;
  byId("feature").value = feature;
  const value = byId("value");
  if (document.activeElement !== value || Number(value.value) !== sequence[step][feature]) value.value = sequence[step][feature];
  const column = sequence.map((row) => row[feature]);
  const spread = Math.max(...column) - Math.min(...column) || 1;
  value.step = Number((10 ** Math.floor(Math.log10(spread / 20))).toPrecision(1));
}
