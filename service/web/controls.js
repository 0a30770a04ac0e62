// What one does beneath the chart: a step and a value chosen, steps masked, a text typed, and all of it undone.

import { byId } from "./dom.js";
import { drawControls } from "./drawing.js";
import { test } from "./keeping.js";
import { fail } from "./problem.js";

/** Listens to the controls of a bench. */
export function listenFor(bench) {
  const on = (id, event, handle) => byId(id).addEventListener(event, handle);
  on("sequence", "change", () => another(bench, Number(byId("sequence").value)));
  on("test", "click", () => test(bench));
  on("reset", "click", () => reset(bench));
  on("step", "input", () => bench.pick(Number(byId("step").value)));
  on("feature", "change", () => bench.pick(bench.picked.step, Number(byId("feature").value)));
  on("value", "input", () => {
    const value = byId("value").valueAsNumber;
    if (Number.isFinite(value)) bench.setValue(bench.picked.step, bench.picked.feature, value);
  });
  on("mask", "click", () => maskAsked(bench));
  for (const id of ["from", "to"]) {
    on(id, "keydown", ({ key }) => key === "Enter" && maskAsked(bench));
    on(id, "input", () => {
      fail(null, "steps");
      drawControls(bench);
    });
  }
  on("text", "input", () => bench.edit(byId("text").value));
}

function another(bench, index) {
  const dropped = bench.edited === null ? "" : ` The changes of sequence ${bench.index + 1} are dropped.`;
  bench.choose(index);
  if (dropped) bench.say(`Sequence ${index + 1}.${dropped}`);
}

function reset(bench) {
  bench.restore();
  if (bench.text) byId("text").value = bench.sequence;
  byId(bench.text ? "text" : "step").focus(); // the button cannot be pressed any more
  bench.say("As given.");
}

/** Masks the steps that were typed; the chosen one, where none was; where one was, it alone. */
function maskAsked(bench) {
  const [from, to] = ["from", "to"].map((id) => (byId(id).value || byId(id).validity.badInput ? byId(id).valueAsNumber : null));
  const [first, last] = [from ?? to ?? bench.picked.step, to ?? from ?? bench.picked.step];
  const most = bench.sequence.length - 1;
  const valid = (step) => Number.isInteger(step) && step >= 0 && step <= most;
  if (valid(first) && valid(last) && first <= last) {
    fail(null, "steps");
    return bench.mask(first, last);
  }
  const received = [from, to].filter((step) => step !== null).map((step) => (Number.isNaN(step) ? "no number" : step)).join(" to ");
  return fail(new Error(`expected whole steps from 0 to ${most}, the first before the last, received ${received}`), "steps");
}
