// The page: which model, which input; the bench does the rest.

import { enter, onBack, rewrite } from "./address.js";
import { get } from "./api.js";
import { Bench } from "./bench.js";
import { drawCard } from "./card.js";
import { listenFor } from "./controls.js";
import { byId, html, options } from "./dom.js";
import { readGiven, wanted } from "./given.js";
import { fail } from "./problem.js";
import { drawStored } from "./stored.js";

const LABEL_LENGTH = 28; // characters of an example's name
const PATIENCE = 300; // ms until the answer of another model is hidden, if the answer of this one does not come

let models = []; // entries of GET /models
let broken = [];
let chosen = null; // one of them
let refresh = () => {};
let hiding;
const bench = new Bench({ kept: () => refresh(), drawn: press });

start().finally(() => document.querySelector("main").classList.remove("pending"));

async function start() {
  try {
    ({ models, broken } = await get("/models"));
  } catch (error) {
    byId("bench").hidden = byId("stored").hidden = true;
    return fail(error);
  }
  listen();
  options(byId("model"), [...new Set(models.map(({ manifest }) => manifest.name))].map((name) => [name, name]));
  refresh = drawStored(byId("stored"), models);
  return go(history.state);
}

/** Shows what the address says; state: what it does not. */
async function go(state) {
  const [, id] = location.pathname.match(/^\/attention\/([^/]+)$/) ?? [];
  if (id) return open(id);
  if (models.length === 0) return nothing();
  const query = new URLSearchParams(location.search);
  return choose(query.get("model") ?? first(), Number(query.get("version")) || null, { example: state?.example });
}

/** A model of numbers, where there is one: there is more to try. */
const first = () => (models.find(({ manifest }) => manifest.vocabulary === null) ?? models[0]).manifest.name;

const find = (name, version) =>
  models.find((info) => info.manifest.name === name && (version === null ? info.default : info.manifest.version === version));

/** Describes a model, and has it answer an example. move: how the address changes. */
async function choose(name, version = null, { example = 0, move = rewrite } = {}) {
  bench.ask(); // what was asked for before is not wanted any more
  const found = find(name, version);
  if (!found) return unknown(name, version);
  describe(found);
  move(`/?model=${name}&version=${found.manifest.version}`);
  const { examples } = found.manifest;
  if (examples.length) return useExample(example in examples ? example : 0);
  byId("own").hidden = false;
  return byId("own-open").setAttribute("aria-expanded", "true");
}

function unknown(name, version) {
  undescribe();
  const served = models.map(({ manifest }) => `${manifest.name} ${manifest.version}`).join(", ");
  return fail(new Error(`expected a model that is served (${served}), received ${name} ${version ?? ""}`));
}

async function open(id) {
  const current = bench.ask();
  try {
    const explanation = await get(`/attention/${id}`);
    if (!current()) return;
    const found = find(explanation.model, explanation.version);
    if (found) describe(found);
    else undescribe();
    bench.open(explanation, found, Number(new URLSearchParams(location.search).get("sequence")));
    reveal();
    fail(null);
  } catch (error) {
    if (!current()) return;
    if (models.length) undescribe();
    else nothing();
    fail(error);
  }
}

/** Everything about a model but its answers. */
function describe(info) {
  chosen = info;
  const { manifest } = info;
  if (bench.manifest !== manifest) conceal();
  byId("card").hidden = false;
  byId("model").value = manifest.name;
  const versions = models.filter((other) => other.manifest.name === manifest.name);
  options(byId("version"), versions.map((other) => [other.manifest.version, other.manifest.version]), manifest.version);
  byId("version-field").hidden = versions.length === 1;
  byId("description").textContent = manifest.description;
  const apart = manifest.vocabulary === null ? " In CSV, a column id tells sequences apart, and time orders their steps." : "";
  byId("own-hint").textContent = `Expected: ${wanted(manifest)}; ${info.expects}.${apart} A file can be dropped anywhere on this page.`;
  byId("own-note").textContent = "";
  const examples = manifest.examples.map((example, i) =>
    html("button", { type: "button", "aria-pressed": "false", click: () => useExample(i) }, nameOf(example, i)));
  byId("examples").replaceChildren(...examples, html("button", { type: "button", "aria-expanded": "false", "aria-controls": "own", id: "own-open", click: toggleOwn }, "Your own…"));
  byId("own").hidden = true;
  document.title = `${manifest.name} · attention-lstm`;
  drawCard(byId("card"), info, notes());
}

/** Leaves the choice of a model to the reader. */
function undescribe() {
  chosen = null;
  conceal();
  byId("model").selectedIndex = -1;
  byId("version-field").hidden = byId("card").hidden = byId("own").hidden = true;
  byId("description").textContent = "Choose a model.";
  byId("examples").replaceChildren();
  document.title = "attention-lstm";
}

/** Hides the answer of another model than the one described, unless the answer of this one comes at once. */
function conceal() {
  clearTimeout(hiding);
  const hide = () => byId("bench").classList.add("unanswered");
  if (bench.manifest && chosen) hiding = setTimeout(hide, PATIENCE);
  else hide();
}

function reveal() {
  clearTimeout(hiding);
  byId("bench").classList.remove("unanswered");
}

function nameOf({ sequence }, i) {
  return typeof sequence === "string" ? sequence.slice(0, LABEL_LENGTH) : `Example ${i + 1}`;
}

function notes() {
  const fault = chosen.fault ? [`Its folder has changed, and is not served as it is now: ${chosen.fault}`] : [];
  return [...fault, ...broken.map(({ folder, reason }) => `${folder} cannot be served: ${reason}`)];
}

async function useExample(example) {
  const { sequence, target } = chosen.manifest.examples[example];
  await use([sequence], { truth: target, example });
}

/** Has the chosen model answer; given: what one knows of the sequences, see `Bench.load`. */
async function use(sequences, given) {
  if (await bench.load(chosen.manifest, sequences, given)) reveal();
}

/** Shows which example is on the bench, if any: another text in its place is not the example. */
function press() {
  const own = bench.manifest !== chosen?.manifest || (bench.text && bench.edited !== null);
  const buttons = byId("examples").querySelectorAll("[aria-pressed]");
  buttons.forEach((button, i) => button.setAttribute("aria-pressed", !own && i === bench.example));
}

function toggleOwn() {
  const shown = (byId("own").hidden = !byId("own").hidden);
  byId("own-open").setAttribute("aria-expanded", !shown);
  if (!shown) byId("own-text").focus();
}

async function useGiven(text) {
  byId("own-note").textContent = "";
  try {
    const { note, sequences } = readGiven(text, chosen.manifest);
    byId("own-note").textContent = note;
    await use(sequences);
  } catch (error) {
    fail(error);
  }
}

async function useFile(file) {
  if (!file) return;
  if (!chosen) return fail(new Error(`expected a model to be chosen for ${file.name}, received none yet`));
  const text = await file.text();
  byId("own-text").value = text;
  byId("own").hidden = false;
  byId("own-open").setAttribute("aria-expanded", "true");
  await useGiven(text);
}

function listen() {
  listenFor(bench);
  onBack(go);
  byId("model").addEventListener("change", () => choose(byId("model").value, null, { move: enter }));
  byId("version").addEventListener("change", () => choose(byId("model").value, Number(byId("version").value), { move: enter }));
  byId("own-use").addEventListener("click", () => useGiven(byId("own-text").value));
  byId("own-file").addEventListener("change", async () => {
    await useFile(byId("own-file").files[0]);
    byId("own-file").value = ""; // so that the same one can be opened again
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    useFile(event.dataTransfer.files[0]);
  });
}

function nothing() {
  byId("bench").hidden = true;
  byId("empty").hidden = false;
  byId("empty-broken").replaceChildren(...broken.map(({ folder, reason }) => html("p", { class: "note" }, `${folder} cannot be served: ${reason}`)));
}
