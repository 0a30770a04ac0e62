// The bench: one sequence, its answer, and what becomes of it when the sequence is changed or the answer is tested.

import { fromPredict, fromStored, manifestOf, meanOf } from "./answers.js";
import { get, latest, post } from "./api.js";
import { Chart } from "./chart.js";
import { byId, onTheme, options } from "./dom.js";
import { KEEPS, draw, drawControls, drawWords } from "./drawing.js";
import { drawChanged, drawChart, drawChoices, rowKey } from "./picture.js";
import { Pointer } from "./pointer.js";
import { fail } from "./problem.js";
import { heaviest } from "./words.js";

const SAID_AFTER = 600; // ms without a change until an answer is read out

/**
 * What is on the bench, and the only place that changes it.
 *
 * manifest: of the model; served: whether it is. sequences: as given; answers: to these. index: which is shown.
 * edited: null, or {sequence, answer, masked} of the shown one; moved: its values that were changed, {step, feature, value};
 * swept: null, or the steps [from, to] that are about to be masked. id: under which what is shown is kept, or null;
 * givenId: likewise, of what was given.
 * trial: null, or what the test found. first: data of the chart of what was given.
 */
export class Bench {
  constructor(kept) {
    this.kept = kept;
    this.chart = new Chart(byId("chart"));
    this.pointer = new Pointer(this.chart, this);
    this.predict = latest(() => this.answerEdited());
    this.picked = { step: 0, feature: 0 };
    this.listen();
  }

  /** Puts sequences on the bench, and asks for the answers. truth: what the first one is, where one knows. */
  async load(manifest, sequences, truth = null) {
    await this.attempt(async () => {
      const asked = (this.asked = sequences);
      const answer = await post("/predict", this.request(manifest, sequences, false));
      if (this.asked !== asked) return; // another was asked for meanwhile
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
      note: missing(explanation, served),
    }, index);
  }

  show(what, index = 0) {
    Object.assign(this, what, { givenId: what.id });
    const count = this.sequences.length;
    options(byId("sequence"), this.sequences.map((_, i) => [i, `${i + 1} of ${count}`]));
    byId("sequence-field").hidden = count === 1;
    this.choose(Math.min(index, count - 1));
  }

  /** Shows another of the sequences. */
  choose(index) {
    Object.assign(this, { index, id: this.givenId, edited: null, moved: [], swept: null, trial: null, first: {} });
    history.replaceState(null, "", this.address());
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

  get given() {
    return this.sequences[this.index];
  }

  get sequence() {
    return this.edited?.sequence ?? this.given;
  }

  get answer() {
    return this.edited?.answer ?? this.answers[this.index];
  }

  get changeable() {
    return this.served && this.given !== null;
  }

  /**
   * Another sequence in the place of the shown one; the model is asked at once, or as soon as it has answered. moved: the values
   * that differ, {step, feature, value}, of a sequence of numbers.
   */
  edit(sequence, moved = [], masked = this.edited?.masked ?? null) {
    this.edited = { sequence, masked, answer: this.answer };
    const all = new Map([...this.moved, ...moved].map((row) => [rowKey(row), row]));
    Object.assign(this, { id: null, moved: [...all.values()], trial: null });
    history.replaceState(null, "", this.address());
    drawWords(this);
    drawChoices(this);
    this.predict();
  }

  async answerEdited() {
    await this.attempt(async () => {
      const { edited, manifest } = this;
      const answer = await post("/predict", this.request(manifest, [edited.sequence], false));
      if (!this.edited || this.manifest !== manifest) return; // undone meanwhile
      this.edited.answer = fromPredict(answer, 0);
      drawWords(this);
      drawChanged(this);
    });
  }

  /** Has the server keep what is shown, and says where. */
  async keep() {
    const sequences = this.sequences.map((sequence, i) => (i === this.index ? this.sequence : sequence));
    const answer = await post("/predict", this.request(this.manifest, sequences, true));
    if (answer.id === null) throw new Error(answer.store_error);
    this.id = answer.id;
    if (!this.edited) this.givenId = answer.id;
    history.replaceState(null, "", this.address());
    this.draw();
    byId("links").querySelector("a").focus(); // the button is gone
    this.say("Kept.");
    this.kept();
  }

  /** Puts the answer to the test; keeps it before, because what is tested is what is kept. */
  async test() {
    await this.attempt(async () => {
      byId("test").disabled = true;
      if (!KEEPS) return await this.testFast();
      if (this.id === null) await this.keep();
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
    if (this.trial) byId("verdict").focus(); // the button is gone
  }

  async testFast() {
    const answer = await post("/predict", { ...this.request(this.manifest, [this.sequence], false), faithfulness: "fast" });
    this.trial = { fast: answer.faithfulness[0] };
    this.draw();
  }

  mask(from, to) {
    const means = this.manifest.training?.feature_means ?? meanOf(this.sequence);
    const within = (step) => step >= from && step <= to;
    const moved = this.sequence.flatMap((_, step) => (within(step) ? this.manifest.features.map((feature, i) => ({ step, feature, value: means[i] })) : []));
    this.swept = null;
    this.edit(this.sequence.map((row, step) => (within(step) ? [...means] : row)), moved, [from, to]);
  }

  /** Shows steps that are about to be masked, [from, to]. */
  sweep(swept) {
    this.swept = swept;
    drawChoices(this);
  }

  setValue(step, feature, value) {
    const rows = this.sequence.map((row, i) => (i === step ? row.map((old, column) => (column === feature ? value : old)) : row));
    this.picked = { step, feature };
    this.edit(rows, [{ step, feature: this.manifest.features[feature], value }]);
  }

  reset() {
    for (const of of ["answer", "steps"]) fail(null, of);
    Object.assign(this, { edited: null, moved: [], trial: null });
    this.id = this.givenId;
    history.replaceState(null, "", this.address());
    if (this.text) byId("text").value = this.sequence;
    this.draw();
    byId(this.text ? "text" : "step").focus(); // the button cannot be pressed any more
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

  draw() {
    draw(this);
  }

  pick(step, feature = this.picked.feature) {
    this.picked = { step, feature };
    drawChoices(this);
    drawControls(this);
  }

  // What is heard.

  listen() {
    const on = (id, event, handle) => byId(id).addEventListener(event, handle);
    on("sequence", "change", () => this.choose(Number(byId("sequence").value)));
    on("test", "click", () => this.test());
    on("reset", "click", () => this.reset());
    on("step", "input", () => this.pick(Number(byId("step").value)));
    on("feature", "change", () => this.pick(this.picked.step, Number(byId("feature").value)));
    on("value", "input", () => {
      const value = byId("value").valueAsNumber;
      if (Number.isFinite(value)) this.setValue(this.picked.step, this.picked.feature, value);
    });
    on("mask", "click", () => this.maskAsked());
    for (const id of ["from", "to"]) on(id, "input", () => fail(null, "steps"));
    on("text", "input", () => byId("text").value && this.edit(byId("text").value));
    onTheme(() => this.manifest && drawChart(this));
  }

  maskAsked() {
    const [from, to] = [byId("from").valueAsNumber, byId("to").valueAsNumber].map((step) => (Number.isNaN(step) ? this.picked.step : step));
    const last = this.sequence.length - 1;
    if (from < 0 || to > last || from > to) return fail(new Error(`expected steps from 0 to ${last}, the first before the last, received ${from} to ${to}`), "steps");
    fail(null, "steps");
    return this.mask(from, to);
  }

  async attempt(work) {
    try {
      await work();
      fail(null);
    } catch (error) {
      fail(error);
    }
  }

  say(text) {
    clearTimeout(this.saying);
    byId("status").textContent = text;
  }

  sayLater(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.say(text), SAID_AFTER);
  }
}

/** What cannot be done with a kept explanation, and why; null where everything can. */
function missing({ model, sequences, version }, served) {
  if (!served) return `Its model, ${model} ${version}, is not served any more: the answer can be looked at, but not changed or tested.`;
  if (sequences[0].sequence !== null) return null;
  return "Its inputs were not kept (the server was told to leave them out: --no-store-inputs): the answer can be looked at, but not changed or tested.";
}
