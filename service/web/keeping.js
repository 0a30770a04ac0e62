// What the server does with exactly what is shown: it keeps it, and puts it to the test. Both take a while; where something else
// is shown by then, nothing is said of it.

import { enter } from "./address.js";
import { get, post } from "./api.js";
import { byId } from "./dom.js";
import { drawBelief, drawLinks } from "./drawing.js";

/** Has the server keep what is shown, and says where. */
export async function keep(bench) {
  const { done } = bench;
  await kept(bench);
  if (bench.done === done) refocus(byId("links").firstElementChild); // the button is gone, or was disabled
}

/** Whether what is shown is kept now, and shown still; asked again meanwhile, it is kept once. */
function kept(bench) {
  const { done } = bench;
  done.keeping ??= bench.attempt(() => store(bench)).finally(() => {
    done.keeping = null;
    if (bench.done === done) drawLinks(bench);
  });
  drawLinks(bench);
  return done.keeping;
}

async function store(bench) {
  const same = bench.watch();
  const sequences = bench.sequences.map((sequence, i) => (i === bench.index ? bench.sequence : sequence));
  const answer = await post("/predict", bench.request(bench.manifest, sequences, true));
  if (answer.id === null) throw new Error(answer.store_error);
  bench.kept();
  if (!same()) return false;
  bench.isKept(answer);
  bench.locate(enter);
  bench.say("Kept.");
  return true;
}

/** Puts the answer to the test; keeps it before, because what is tested is what is kept, unless that would be without inputs. */
export async function test(bench) {
  const { done } = bench;
  done.testing = true;
  drawBelief(bench);
  bench.say("The test runs.");
  await bench.attempt(() => (bench.isWhole ? testKept(bench) : testFast(bench)));
  done.testing = false;
  if (bench.done !== done) return;
  drawBelief(bench);
  refocus(byId(done.trial ? "verdict" : "test"));
}

async function testKept(bench) {
  const same = bench.watch();
  if (bench.id === null && !(await kept(bench))) return false;
  const found = await get(`/attention/${bench.id}/faithfulness`, { sequence: bench.index });
  if (!same()) return false;
  bench.done.trial = found;
  if (found.verdict !== "inconclusive") bench.picked.step = found.leave_one_out.top[0].step;
  bench.draw();
  bench.say(`${found.verdict}: ${found.reason}`);
  return true;
}

async function testFast(bench) {
  const same = bench.watch();
  const answer = await post("/predict", { ...bench.request(bench.manifest, [bench.sequence], false), faithfulness: "fast" });
  if (!same()) return false;
  bench.done.trial = { fast: answer.faithfulness[0] };
  bench.draw();
  return true;
}

/** Gives the focus to an element, where the one that had it cannot have it any more: where one works meanwhile, one stays. */
function refocus(element) {
  if (document.activeElement === document.body) element?.focus();
}
