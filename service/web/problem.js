// What went wrong, in a box that stays until it is put right or closed.

import { byId, html } from "./dom.js";
import { place } from "./words.js";

const SHOWN = 3; // faults of a request; it may have thousands

const wrong = new Map(); // errors, by what they are of; the latest is the last
let shown = null; // one of them

/** Shows what went wrong with something: an answer, the steps to mask, the chart, the list, the profile; null: nothing does any more. */
export function fail(error, of = "answer") {
  wrong.delete(of);
  if (error !== null) wrong.set(of, error);
  draw();
}

function draw() {
  const latest = [...wrong.values()].at(-1) ?? null;
  if (latest === shown) return; // or it is read out again
  shown = latest;
  byId("problem").hidden = shown === null;
  byId("problem").replaceChildren(...(shown ? [html("h2", {}, shown.title ?? "That did not work"), closing(), detail(shown)] : []));
}

function closing() {
  let before = null; // what had the focus
  const close = () => {
    wrong.clear();
    draw();
    before?.focus();
  };
  return html("button", { type: "button", class: "close", "aria-label": "Close", focus: (event) => (before = event.relatedTarget), click: close }, "×");
}

function detail({ faults = [], message }) {
  if (faults.length === 0) return html("p", {}, message);
  const items = faults.slice(0, SHOWN).map(({ expected, pointer, received }) => html("li", {}, `${place(pointer)}: expected ${expected}, received ${received}`));
  const more = all(faults, message) - items.length;
  return html("ul", {}, items, more > 0 ? html("li", {}, `and ${more} more`) : null);
}

/** How many faults there are, of which an answer holds the first ten: its text says of how many more than one it knows. */
function all(faults, message) {
  const more = message.match(/\(and (\d+) more\)$/);
  return more ? Number(more[1]) + 1 : faults.length;
}
