// The bench: one sequence, its answer, and what becomes of it when the sequence is changed or the answer is tested.

import { get, latest, post } from "./api.js";
import { verdict } from "./card.js";
import { SequenceChart, nice } from "./chart.js";
import { byId, html, options } from "./dom.js";
import { drawMatrix } from "./matrix.js";
import { drawTrial } from "./trial.js";
import { drop, heaviest, inWords, number, ofModel, percent } from "./words.js";

const KEEPS = document.documentElement.dataset.store !== "none";
const LONGEST_SAID = 600; // ms without a change until an answer is read out

/**
 * What is on the bench, and the only place that changes it.
 *
 * manifest: of the model; served: whether it is. sequences: as given; answers: to these. index: which is shown.
 * edited: null, or {sequence, answer, masked} of the shown one. id: under which what is shown is kept, or null.
 * trial: null, or what the test found.
 */
export class Bench {
  constructor(fail, kept) {
    this.fail = fail;
    this.kept = kept;
    this.chart = null;
    this.predict = latest(() => this.answerEdited());
    this.picked = { step: 0, feature: 0 };
    this.listen();
  }

  /** Puts sequences on the bench, and asks for the answers. truth: what the first one is, where one knows. */
  async load(manifest, sequences, truth = null) {
    await this.attempt(async () => {
      const answer = await post("/predict", this.request(manifest, sequences, false));
      this.show({ manifest, served: true, sequences, truth, id: null, note: null, answers: sequences.map((_, i) => fromPredict(answer, i)) });
    });
  }

  /** Puts a kept explanation on the bench; served: its model's entry, or undefined. */
  open(explanation, served, index) {
    this.show({
      manifest: served?.manifest ?? manifestOf(explanation),
      served: Boolean(served),
      sequences: explanation.sequences.map(({ sequence }) => sequence),
      answers: explanation.sequences.map(fromStored),
      truth: null,
      id: explanation.id,
      note: explanation.note ?? (served ? null : `Its model, ${explanation.model} ${explanation.version}, is not served any more: it can be looked at, not changed or tested.`),
    }, index);
  }

  show(what, index = 0) {
    Object.assign(this, what);
    const count = this.sequences.length;
    options(byId("sequence"), this.sequences.map((_, i) => [i, `${i + 1} of ${count}`]));
    byId("sequence-field").hidden = count === 1;
    this.choose(Math.min(index, count - 1));
  }

  /** Shows another of the sequences. */
  choose(index) {
    Object.assign(this, { index, edited: null, trial: null });
    byId("sequence").value = index;
    const { features } = this.manifest;
    options(byId("feature"), features.map((name, i) => [i, name]));
    byId("feature-field").hidden = features.length === 1;
    const first = this.text ? [] : heaviest(this.answer.attention ?? [], 1);
    this.picked = { step: first[0] ?? 0, feature: 0 };
    if (this.text) byId("text").value = this.sequence ?? "";
    this.draw();
  }

  get text() {
    return this.manifest.vocabulary !== null;
  }

  get sequence() {
    return this.edited?.sequence ?? this.sequences[this.index];
  }

  get answer() {
    return this.edited?.answer ?? this.answers[this.index];
  }

  get changeable() {
    return this.served && this.sequences[this.index] !== null;
  }

  /** Another sequence in the place of the shown one; the model is asked at once, or as soon as it has answered. */
  edit(sequence, masked = this.edited?.masked ?? null) {
    this.edited = { sequence, masked, answer: this.answer };
    this.id = this.trial = null;
    history.replaceState(null, "", this.address());
    this.draw();
    this.predict();
  }

  async answerEdited() {
    await this.attempt(async () => {
      const asked = this.edited;
      const answer = await post("/predict", this.request(this.manifest, [asked.sequence], false));
      if (!this.edited) return; // undone meanwhile
      this.edited.answer = fromPredict(answer, 0);
      this.draw();
    });
  }

  /** Has the server keep what is shown, and says where. */
  async keep() {
    await this.attempt(async () => {
      const sequences = this.sequences.map((sequence, i) => (i === this.index ? this.sequence : sequence));
      const answer = await post("/predict", this.request(this.manifest, sequences, true));
      if (answer.id === null) throw new Error(answer.store_error);
      this.id = answer.id;
      history.replaceState(null, "", this.address());
      this.draw();
      this.say("Kept.");
      this.kept();
    });
  }

  /** Puts the answer to the test; keeps it before, because what is tested is what is kept. */
  async test() {
    await this.attempt(async () => {
      byId("test").disabled = true;
      if (!KEEPS) return await this.testFast();
      if (this.id === null) await this.keep();
      if (this.id === null) return undefined;
      this.say("The test runs.");
      const [id, index] = [this.id, this.index];
      const found = await get(`/attention/${id}/faithfulness`, { sequence: index });
      if (this.id !== id || this.index !== index) return undefined; // something else is shown by now
      this.trial = found;
      this.picked.step = found.leave_one_out.top[0].step;
      this.draw();
      return this.say(`${found.verdict}: ${found.reason}`);
    });
    byId("test").disabled = false;
  }

  async testFast() {
    const answer = await post("/predict", { ...this.request(this.manifest, [this.sequence], false), faithfulness: "fast" });
    this.trial = { fast: answer.faithfulness[0] };
    this.draw();
  }

  mask(from, to) {
    const means = this.manifest.training?.feature_means ?? meanOf(this.sequence);
    this.edit(this.sequence.map((row, step) => (step >= from && step <= to ? [...means] : row)), [from, to]);
  }

  setValue(step, feature, value) {
    const rows = this.sequence.map((row, i) => (i === step ? row.map((old, column) => (column === feature ? value : old)) : row));
    this.picked = { step, feature };
    this.edit(rows);
  }

  reset() {
    this.edited = this.trial = null;
    if (this.text) byId("text").value = this.sequence;
    this.draw();
    this.say("As given.");
  }

  request(manifest, sequences, store) {
    const request = { model: manifest.name, version: manifest.version, sequences, store };
    return manifest.attention?.axes[1] === "feature" ? { ...request, attention: "per_feature" } : request;
  }

  address() {
    if (this.id === null) return `/?model=${this.manifest.name}&version=${this.manifest.version}`;
    return `/attention/${this.id}${this.index ? `?sequence=${this.index}` : ""}`;
  }

  // What is drawn.

  draw() {
    this.drawAnswer();
    this.drawBelief();
    this.drawTop();
    this.drawLinks();
    this.drawChart();
    this.drawControls();
  }

  drawAnswer() {
    const said = inWords(this.manifest, this.answer);
    byId("headline").textContent = said.headline;
    byId("share").hidden = said.share === null;
    byId("share").firstElementChild.style.width = `${100 * (said.share ?? 0)}%`;
    let more = this.truth === null ? "" : `; the true answer: ${typeof this.truth === "number" ? number(this.truth) : this.truth}`;
    if (this.edited) {
      const was = inWords(this.manifest, this.answers[this.index]);
      more = `; was ${was.headline}${was.share === null ? "" : ` with ${percent(was.share)}`}`;
    }
    byId("sure").textContent = said.sure + more;
    document.title = `${said.headline} · ${this.manifest.name} · attention-lstm`;
    this.sayLater(`${said.headline}, ${said.sure}${this.edited ? more : ""}`);
  }

  drawBelief() {
    const { word, why } = this.belief();
    byId("verdict").replaceChildren(verdict(word), html("span", { class: "quiet" }, this.trial ? "this answer" : "this model, as a rule"));
    byId("why").textContent = why;
    byId("test").hidden = Boolean(this.trial) || this.text || !this.manifest.attention || !this.changeable;
    byId("trial").hidden = true;
    if (this.trial?.verdict) drawTrial(byId("trial"), this.trial);
  }

  belief() {
    if (this.trial?.verdict) return { word: this.trial.verdict, why: `${this.trial.reason[0].toUpperCase()}${this.trial.reason.slice(1)}.` };
    if (this.trial) {
      const { comprehensiveness, random_comprehensiveness: random } = this.trial.fast;
      return { word: "tested in part", why: `Without the heaviest steps the prediction drops by ${drop(comprehensiveness)}, without random ones by ${drop(random)}. For a verdict the server has to keep explanations.` };
    }
    const found = ofModel(this.manifest);
    if (!this.text || !this.manifest.attention) return found;
    return { ...found, why: `${found.why} A single answer in text cannot be tested yet.` };
  }

  drawTop() {
    const { attention, unknown } = this.answer;
    if (this.text) {
      const missing = (unknown ?? []).map(({ character }) => character).join(" ");
      byId("top").textContent = missing ? `Unknown to the model: ${missing}` : "Each row is a character written, each column one that was read.";
      return;
    }
    const button = (step) => html("button", { type: "button", class: "step", click: () => this.pick(step) }, `step ${step} `, html("b", {}, percent(attention[step])));
    const nothing = "This model has no attention: there are no weights to show.";
    byId("top").replaceChildren(...(attention ? ["Most weight: ", ...heaviest(attention).map(button)] : [nothing]));
  }

  drawLinks() {
    const keep = html("button", { type: "button", click: () => this.keep() }, "Keep and link");
    if (this.id === null) return byId("links").replaceChildren(...(KEEPS && this.changeable ? [keep] : []));
    const at = `/attention/${this.id}`;
    const files = [["SVG", ".svg"], ["PNG", ".png"], ["HTML", ".html"]].map(([name, suffix]) => html("a", { href: `${at}${suffix}?sequence=${this.index}` }, name));
    const drawn = this.sequences[this.index] === null ? [] : files;
    return byId("links").replaceChildren(html("a", { href: this.address() }, "Link to this"), ...drawn);
  }

  drawChart() {
    const { attention, perFeature } = this.answer;
    if (this.text) {
      this.chart = null;
      return drawMatrix(byId("chart"), { text: this.sequence, answer: this.answer.prediction, rows: attention ?? [] });
    }
    if (this.chart === null) {
      byId("chart").replaceChildren();
      this.chart = new SequenceChart(byId("chart"), {
        changes: () => this.changeable,
        drag: (step, feature, value) => this.setValue(step, feature, value),
        mask: (from, to) => this.mask(from, to),
        pick: (step) => this.pick(step),
      });
    }
    if (this.sequence === null && attention === null) return byId("chart").replaceChildren();
    const before = this.edited && { values: this.sequences[this.index], weights: this.answers[this.index].attention };
    const changes = this.trial?.leave_one_out?.changes ?? null;
    const shown = { values: this.sequence, weights: attention, perFeature, before, changes, masked: this.edited?.masked };
    return this.chart.draw({ features: this.manifest.features, ...shown, ...this.picked });
  }

  drawControls() {
    byId("text-field").hidden = !this.text;
    byId("text").disabled = !this.changeable;
    byId("change").hidden = this.text || !this.changeable;
    byId("hint").hidden = !this.changeable && this.note === null;
    byId("hint").textContent = this.note ?? (this.text ? "Change the text: the model answers as you type." : HINT);
    byId("reset").disabled = this.edited === null;
    if (this.text || !this.changeable) return;
    const { step, feature } = this.picked;
    const last = this.sequence.length - 1;
    for (const id of ["step", "from", "to"]) byId(id).max = last;
    byId("step").value = step;
    byId("step-shown").textContent = step;
    byId("feature").value = feature;
    if (document.activeElement !== byId("value") || Number(byId("value").value) !== this.sequence[step][feature]) byId("value").value = this.sequence[step][feature];
    const column = this.sequence.map((row) => row[feature]);
    const [first, second] = nice(Math.min(...column), Math.max(...column) + 1e-6, 40);
    byId("value").step = Number((second - first).toPrecision(3)) || "any";
  }

  pick(step) {
    this.picked.step = step;
    this.drawChart();
    this.drawControls();
  }

  // What is heard.

  listen() {
    const on = (id, event, handle) => byId(id).addEventListener(event, handle);
    on("sequence", "change", () => this.choose(Number(byId("sequence").value)));
    on("test", "click", () => this.test());
    on("reset", "click", () => this.reset());
    on("step", "input", () => this.pick(Number(byId("step").value)));
    on("feature", "change", () => {
      this.picked.feature = Number(byId("feature").value);
      this.pick(this.picked.step);
    });
    on("value", "input", () => {
      const value = byId("value").valueAsNumber;
      if (Number.isFinite(value)) this.setValue(this.picked.step, this.picked.feature, value);
    });
    on("mask", "click", () => this.maskAsked());
    on("text", "input", () => byId("text").value && this.edit(byId("text").value));
  }

  maskAsked() {
    const [from, to] = [byId("from").valueAsNumber, byId("to").valueAsNumber].map((step) => (Number.isNaN(step) ? this.picked.step : step));
    const last = this.sequence.length - 1;
    if (from < 0 || to > last || from > to) return this.fail(new Error(`expected steps from 0 to ${last}, the first before the last, received ${from} to ${to}`));
    return this.mask(from, to);
  }

  async attempt(work) {
    try {
      await work();
      this.fail(null);
    } catch (error) {
      this.fail(error);
    }
  }

  say(text) {
    clearTimeout(this.saying);
    byId("status").textContent = text;
  }

  sayLater(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.say(text), LONGEST_SAID);
  }
}

const HINT = "Drag a point to change a value; drag across the bars to mask those steps. The model answers as you go.";

function fromPredict(answer, i) {
  const weights = answer.attention?.[i] ?? null;
  const perFeature = answer.probabilities === undefined && Array.isArray(weights?.[0]) ? weights : null;
  return {
    prediction: answer.predictions[i],
    label: answer.labels?.[i] ?? null,
    probability: answer.probabilities?.[i] ?? null,
    unknown: answer.unknown?.[i] ?? null,
    attention: perFeature ? perFeature.map((row) => row.reduce((sum, weight) => sum + weight, 0) / row.length) : weights,
    perFeature,
  };
}

const fromStored = ({ prediction, label, probability, unknown, attention, attention_per_feature: perFeature }) =>
  ({ prediction, label, probability, unknown, attention, perFeature: perFeature ?? null });

/** What a kept explanation says of a model that is not served any more. */
function manifestOf({ model, version, task, features, classes, attention_axes: axes }) {
  const attention = axes && { kind: "unknown", position: "unknown", axes };
  const unknown = { description: "", examples: [], training: null, quality: null, faithfulness: null };
  return { ...unknown, name: model, version, task, features, labels: classes, attention, vocabulary: task === "sequence" ? {} : null };
}

const meanOf = (rows) => rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
