// The bench: one sequence, its answer, and what becomes of it when the sequence is changed.

import { rewrite } from "./address.js";
import { fromPredict, fromStored, manifestOf, meanOf } from "./answers.js";
import { KEEPS_INPUTS, latest, post } from "./api.js";
import { Chart } from "./chart.js";
import { byId, onTheme, options } from "./dom.js";
import { draw, drawControls, drawWords } from "./drawing.js";
import { drawChanged, drawChoices, rowKey } from "./picture.js";
import { Pointer } from "./pointer.js";
import { fail } from "./problem.js";
import { heaviest } from "./words.js";

const SAID_AFTER = 600; // ms without a change until an answer is read out
const LATE_AFTER = 300; // ms without an answer until it is said that it is asked for

/**
 * What is on the bench, and the only place that changes it.
 *
 * manifest: of the model; served: whether it is. sequences: as given; answers: to these. index: which is shown.
 * example: of the model, which number, or null. opened: whether they were kept before.
 * edited: null, or {sequence, answer, answered, masked, late, since, line} of the shown one; answered: the sequence that the
 * answer is of; masked: steps; late: null, or what is said of an answer that is not of this sequence: "asking", "failed", or
 * "empty" where there is nothing to ask; since: when the first change was made that is not answered; line: the same of all
 * changes until they are undone.
 * moved: its values that were changed, {step, feature, value}; swept: null, or the steps [from, to] that are about to be masked.
 * id: under which what is shown is kept, or null; givenId: likewise, of what was given.
 * done: with exactly what is shown, see keeping.js: {keeping, testing, trial}.
 * first: data of the chart of what was given; charted: what the chart is of, see picture.js.
 */
export class Bench {
  /** kept: called when something more is kept; drawn: whenever the bench is. */
  constructor({ kept, drawn }) {
    Object.assign(this, { kept, drawn, charted: {}, picked: { step: 0, feature: 0 } });
    this.chart = new Chart(byId("chart"));
    this.pointer = new Pointer(this.chart, this);
    this.predict = latest(() => this.answerEdited());
    onTheme(() => this.manifest && this.draw());
  }

  /** Something else is asked for; returns what says whether nothing else is since. */
  ask() {
    const turn = (this.turn = {});
    return () => this.turn === turn;
  }

  /** What says whether exactly this is shown still, and nothing else asked for. */
  watch() {
    const { done, turn } = this;
    return () => this.done === done && this.turn === turn;
  }

  /**
   * Asks for the answers to sequences, and puts both on the bench; whether they are there now.
   *
   * truth: what the first one is, where one knows; example: which of the model's it is.
   */
  load(manifest, sequences, { truth = null, example = null } = {}) {
    const current = this.ask();
    return this.attempt(async () => {
      const answer = await post("/predict", this.request(manifest, sequences, false));
      if (!current()) return false;
      this.show({ manifest, served: true, sequences, truth, example, id: null, note: null, opened: false, answers: sequences.map((_, i) => fromPredict(answer, i)) });
      return true;
    }, current);
  }

  /** Puts a kept explanation on the bench; served: its model's entry, or undefined. */
  open(explanation, served, index) {
    this.show({
      manifest: served?.manifest ?? manifestOf(explanation),
      served: Boolean(served),
      sequences: explanation.sequences.map(({ sequence }) => sequence),
      answers: explanation.sequences.map(fromStored),
      truth: null,
      example: null,
      id: explanation.id,
      note: missing(explanation, served),
      opened: true,
    }, index);
  }

  show(what, index = 0) {
    Object.assign(this, what, { givenId: what.id });
    const count = this.sequences.length;
    options(byId("sequence"), this.sequences.map((_, i) => [i, `${i + 1} of ${count}`]));
    byId("sequence-field").hidden = count === 1;
    this.choose(Math.max(0, Math.min(Math.trunc(index) || 0, count - 1)));
  }

  /** Shows another of the sequences. */
  choose(index) {
    Object.assign(this, { index, id: this.givenId, edited: null, moved: [], swept: null, done: undone(), first: {} });
    this.pointer.held = null;
    fail(null, "steps");
    this.locate();
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

  get givenAnswer() {
    return this.answers[this.index];
  }

  get sequence() {
    return this.edited?.sequence ?? this.given;
  }

  get answer() {
    return this.edited?.answer ?? this.givenAnswer;
  }

  /** The sequence that the answer is of. */
  get answered() {
    return this.edited ? this.edited.answered : this.given;
  }

  get isAnswered() {
    return this.answered === this.sequence;
  }

  get late() {
    return this.edited?.late ?? null;
  }

  get changeable() {
    return this.served && this.given !== null;
  }

  /** Whether what is shown is kept with its inputs, or would be. */
  get isWhole() {
    return this.opened && this.edited === null ? this.given !== null : KEEPS_INPUTS;
  }

  /** What a masked step holds: what says least to the model. */
  get means() {
    return this.manifest.training?.feature_means ?? meanOf(this.given);
  }

  /**
   * Another sequence in the place of the shown one; the model is asked at once, or as soon as it has answered. moved: the values
   * that differ, {step, feature, value}, of a sequence of numbers.
   */
  edit(sequence, moved = [], masked = this.edited?.masked ?? []) {
    const all = [...new Map([...this.moved, ...moved].map((row) => [rowKey(row), row])).values()];
    if (this.isGiven(sequence, all)) return this.restore();
    const late = sequence === "" ? "empty" : this.late && "asking"; // one that is late is still
    const { line = {}, since = 0 } = this.edited ?? {};
    this.edited = { sequence, masked, late, answer: this.answer, answered: this.answered, line, since: this.isAnswered ? performance.now() : since };
    this.remind(this.edited);
    Object.assign(this, { id: null, moved: all, done: undone() });
    this.locate();
    drawWords(this);
    drawChoices(this);
    return late === "empty" ? drawChanged(this) : this.predict();
  }

  /** Whether a changed sequence is the given one again. */
  isGiven(sequence, moved) {
    if (this.text) return sequence === this.given;
    return moved.every(({ feature, step, value }) => this.given[step][this.manifest.features.indexOf(feature)] === value);
  }

  async answerEdited() {
    const { edited, manifest, turn } = this;
    if (edited === null || edited.late === "empty") return;
    const wanted = () => this.edited === edited && this.turn === turn;
    const shown = await this.attempt(async () => {
      const answer = await post("/predict", this.request(manifest, [edited.sequence], false));
      if (!wanted() && !this.isOnTheWay(edited, turn)) return false;
      Object.assign(this.edited, { answer: fromPredict(answer, 0), answered: edited.sequence });
      if (this.isAnswered) this.edited.late = null;
      drawWords(this);
      drawChanged(this);
      return true;
    }, wanted);
    if (!shown && this.edited === edited) this.delay("failed");
  }

  /**
   * Whether the answer to an earlier change is nearer to what is shown than the answer that is: of a value that is dragged, or
   * nothing would move until it is let go. Not of text, whose weights are of the characters that were read.
   */
  isOnTheWay({ line }, turn) {
    return this.edited?.line === line && this.turn === turn && !this.text;
  }

  /** Has it said in time that an answer is asked for; as it is by each change, it is said while one goes on changing, too. */
  remind(edited) {
    const due = edited.since + LATE_AFTER - performance.now();
    setTimeout(() => this.edited === edited && this.late === null && !this.isAnswered && this.delay("asking"), due);
  }

  delay(late) {
    this.edited.late = late;
    drawWords(this);
  }

  /** What is shown is kept now. answer: to the sequences as they were kept. */
  isKept(answer) {
    this.id = answer.id;
    if (this.edited) Object.assign(this.edited, { answer: fromPredict(answer, this.index), answered: this.sequence, late: null });
    else this.givenId = answer.id;
    drawWords(this);
    if (this.edited) drawChanged(this);
  }

  mask(from, to) {
    const { means } = this;
    const within = (step) => step >= from && step <= to;
    const steps = this.sequence.map((_, step) => step).filter(within);
    const moved = steps.flatMap((step) => this.manifest.features.map((feature, i) => ({ step, feature, value: means[i] })));
    this.swept = null;
    this.edit(this.sequence.map((row, step) => (within(step) ? [...means] : row)), moved, [...(this.edited?.masked ?? []), ...steps]);
  }

  /** Shows steps that are about to be masked, [from, to]. */
  sweep(swept) {
    this.swept = swept;
    drawChoices(this);
  }

  setValue(step, feature, value) {
    const rows = this.sequence.map((row, i) => (i === step ? row.map((old, column) => (column === feature ? value : old)) : row));
    this.picked = { step, feature };
    this.edit(rows, [{ step, feature: this.manifest.features[feature], value }], this.edited?.masked.filter((other) => other !== step));
  }

  /** Shows again what was given. */
  restore() {
    Object.assign(this, { edited: null, moved: [], done: undone(), id: this.givenId });
    for (const of of ["answer", "steps"]) fail(null, of);
    this.locate();
    this.draw();
  }

  request(manifest, sequences, store) {
    const request = { model: manifest.name, version: manifest.version, sequences, store };
    return manifest.attention?.axes[1] === "feature" ? { ...request, attention: "per_feature" } : request;
  }

  address() {
    if (this.id === null) return `/?model=${this.manifest.name}&version=${this.manifest.version}`;
    return `/attention/${this.id}${this.index ? `?sequence=${this.index}` : ""}`;
  }

  /** Has the page's address say what is shown. */
  locate(move = rewrite) {
    move(this.address(), { example: this.example });
  }

  draw() {
    draw(this);
  }

  pick(step, feature = this.picked.feature) {
    this.picked = { step, feature };
    drawChoices(this);
    drawControls(this);
  }

  /**
   * Does some work, which says whether its result is shown; returns the same. What goes wrong is shown, if it is wanted still,
   * until an answer comes.
   */
  async attempt(work, wanted = () => true) {
    try {
      const shown = await work();
      if (shown) fail(null);
      return shown;
    } catch (error) {
      if (wanted()) fail(error);
      return false;
    }
  }

  say(text) {
    clearTimeout(this.saying);
    byId("status").textContent = text;
  }

  /** What was about to be said is not. */
  sayNothing() {
    clearTimeout(this.saying);
  }

  sayLater(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.say(text), SAID_AFTER);
  }
}

const undone = () => ({ keeping: null, testing: false, trial: null });

/** What cannot be done with a kept explanation, and why; null where everything can. */
function missing({ model, sequences, version }, served) {
  if (!served) return `Its model, ${model} ${version}, is not served any more: the answer can be looked at, but not changed or tested.`;
  if (sequences[0].sequence !== null) return null;
  return "Its inputs were not kept (the server was told to leave them out: --no-store-inputs): the answer can be looked at, but not changed or tested.";
}
