// The page: which model, which input; the bench does the rest.

import { get } from "./api.js";
import { Bench } from "./bench.js";
import { drawCard } from "./card.js";
import { byId, html, options } from "./dom.js";
import { readGiven, wanted } from "./given.js";
import { fail } from "./problem.js";
import { drawStored } from "./stored.js";

const LABEL_LENGTH = 28; // characters of an example's name

let models = []; // entries of GET /models
let broken = [];
let chosen = null; // one of them
let refresh = () => {};
const bench = new Bench(() => refresh());

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
  const [, id] = location.pathname.match(/^\/attention\/([^/]+)$/) ?? [];
  if (id) return open(id);
  if (models.length === 0) return nothing();
  const query = new URLSearchParams(location.search);
  return choose(query.get("model") ?? first(), Number(query.get("version")) || null);
}

/** A model of numbers, where there is one: there is more to try. */
const first = () => (models.find(({ manifest }) => manifest.vocabulary === null) ?? models[0]).manifest.name;

const find = (name, version) =>
  models.find((info) => info.manifest.name === name && (version === null ? info.default : info.manifest.version === version));

async function choose(name, version = null) {
  const found = find(name, version);
  if (!found) return unknown(name, version);
  describe(found);
  history.replaceState(null, "", `/?model=${name}&version=${found.manifest.version}`);
  const [example] = found.manifest.examples;
  if (example) return useExample(0);
  byId("own").hidden = false;
  return byId("bench").classList.add("unanswered");
}

/** Leaves the choice to the reader. */
function unknown(name, version) {
  byId("model").selectedIndex = -1;
  byId("bench").classList.add("unanswered");
  byId("card").hidden = true;
  const served = models.map(({ manifest }) => `${manifest.name} ${manifest.version}`).join(", ");
  return fail(new Error(`expected a model that is served (${served}), received ${name} ${version ?? ""}`));
}

async function open(id) {
  try {
    const explanation = await get(`/attention/${encodeURIComponent(id)}`);
    const found = find(explanation.model, explanation.version);
    if (found) describe(found);
    else byId("ask").hidden = byId("card").hidden = true;
    bench.open(explanation, found, Number(new URLSearchParams(location.search).get("sequence")) || 0);
    byId("bench").classList.remove("unanswered");
  } catch (error) {
    byId("bench").hidden = true;
    fail(error);
  }
}

/** Everything about a model but its answers. */
function describe(info) {
  chosen = info;
  byId("card").hidden = false;
  const { manifest } = info;
  byId("model").value = manifest.name;
  const versions = models.filter((other) => other.manifest.name === manifest.name);
  options(byId("version"), versions.map((other) => [other.manifest.version, other.manifest.version]), manifest.version);
  byId("version-field").hidden = versions.length === 1;
  byId("description").textContent = manifest.description;
  byId("own-hint").textContent = `Expected: ${wanted(manifest)}; ${info.expects}. A file can be dropped anywhere on this page.`;
  const examples = manifest.examples.map((example, i) =>
    html("button", { type: "button", "aria-pressed": "false", click: () => useExample(i) }, nameOf(example, i)));
  byId("examples").replaceChildren(...examples, html("button", { type: "button", "aria-expanded": "false", "aria-controls": "own", id: "own-open", click: toggleOwn }, "Your own…"));
  byId("own").hidden = true;
  drawCard(byId("card"), info, notes());
}

function nameOf({ sequence }, i) {
  return typeof sequence === "string" ? sequence.slice(0, LABEL_LENGTH) : `Example ${i + 1}`;
}

function notes() {
  const fault = chosen.fault ? [`Its folder has changed, and is not served as it is now: ${chosen.fault}`] : [];
  return [...fault, ...broken.map(({ folder, reason }) => `${folder} cannot be served: ${reason}`)];
}

async function useExample(i) {
  const { sequence, target } = chosen.manifest.examples[i];
  press(i);
  await use([sequence], target);
}

function press(chosenIndex) {
  [...byId("examples").querySelectorAll("[aria-pressed]")].forEach((button, i) => button.setAttribute("aria-pressed", i === chosenIndex));
}

async function use(sequences, truth = null) {
  await bench.load(chosen.manifest, sequences, truth);
  byId("bench").classList.toggle("unanswered", !bench.manifest);
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
    press(-1);
    await use(sequences);
  } catch (error) {
    fail(error);
  }
}

async function useFile(file) {
  if (!file) return;
  const text = await file.text();
  byId("own-text").value = text;
  byId("own").hidden = false;
  byId("own-open").setAttribute("aria-expanded", "true");
  await useGiven(text);
}

function listen() {
  byId("model").addEventListener("change", () => choose(byId("model").value));
  byId("version").addEventListener("change", () => choose(byId("model").value, Number(byId("version").value)));
  byId("own-use").addEventListener("click", () => useGiven(byId("own-text").value));
  byId("own-file").addEventListener("change", async () => {
    await useFile(byId("own-file").files[0]);
    byId("own-file").value = ""; // so that the same one can be opened again
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (chosen) useFile(event.dataTransfer.files[0]);
  });
}

function nothing() {
  byId("bench").hidden = true;
  byId("empty").hidden = false;
  byId("empty-broken").replaceChildren(...broken.map(({ folder, reason }) => html("p", { class: "note" }, `${folder} cannot be served: ${reason}`)));
}
