// The explanations that are kept: listed, filtered, page by page.

import { get } from "./api.js";
import { html, options } from "./dom.js";
import { drawProfile } from "./profile.js";
import { time } from "./words.js";

const PAGE = 10;

/** Fills the section, and keeps it: `refresh()` lists again. fail(error) shows what went wrong. */
export function drawStored(host, models, fail) {
  const title = html("h2", { id: "stored-title" }, "Stored explanations");
  if (document.documentElement.dataset.store === "none") {
    host.replaceChildren(title, html("p", { class: "quiet" }, "This server keeps no explanations (it was started with ", html("code", {}, "--store none"), "). Predictions and their weights are shown here all the same, but there is nothing to list, to link to or to test in full."));
    return () => {};
  }
  const model = html("select", { change: () => list(null) });
  options(model, [["", "all"], ...[...new Set(models.map((info) => info.manifest.name))].map((name) => [name, name])]);
  const label = html("input", { type: "search", list: "labels", autocomplete: "off", change: () => list(null) });
  const labels = html("datalist", { id: "labels" }, [...new Set(models.flatMap((info) => info.manifest.labels))].map((name) => html("option", { value: name })));
  const rows = html("tbody");
  const table = html("table", { class: "list" }, html("caption", { class: "unseen" }, "Stored explanations, newest first"),
    html("thead", {}, html("tr", {}, ["When", "Model", "Labels", "Sequences"].map((name) => html("th", { scope: "col" }, name)))), rows);
  const nothing = html("p", { class: "quiet", hidden: true });
  const more = html("button", { type: "button", hidden: true, click: () => list(more.dataset.next) }, "Show older ones");

  const profile = html("div", { class: "profile-host", hidden: true });

  /** The profile of one model whose steps mean the same in every sequence: none of text, and none without weights. */
  async function summarize() {
    const manifest = models.find((info) => info.manifest.name === model.value)?.manifest;
    profile.hidden = true;
    if (!manifest?.attention || manifest.vocabulary !== null) return;
    const found = await get("/attention/summary", { model: model.value, label: label.value });
    if (model.value === manifest.name) drawProfile(profile, found);
  }

  async function list(cursor) {
    try {
      if (cursor === null) await summarize();
      const page = await get("/attention", { model: model.value, label: label.value, limit: PAGE, cursor });
      if (cursor === null) rows.replaceChildren();
      rows.append(...page.explanations.map(row));
      table.hidden = rows.childElementCount === 0;
      nothing.hidden = !table.hidden;
      nothing.textContent = model.value || label.value ? "None is kept that fits." : "None yet. “Keep and link” puts one here, and so does every POST /predict.";
      more.dataset.next = page.next ?? "";
      more.hidden = page.next === null;
    } catch (error) {
      fail(error);
    }
  }

  const filters = html("div", { class: "row" }, html("label", { class: "field" }, "Of model ", model), html("label", { class: "field" }, "With label ", label), labels);
  host.replaceChildren(html("div", { class: "row spread" }, title, filters), nothing, profile, html("div", { class: "fit" }, table), more);
  list(null);
  return () => list(null);
}

const row = ({ created, id, labels, model, sequences, url, version }) =>
  html("tr", {},
    html("td", {}, html("a", { href: url, title: id }, html("time", { datetime: created }, time(created)))),
    html("td", {}, `${model}, ${version}`),
    html("td", {}, labels.join(", ") || "–"),
    html("td", { class: "count" }, sequences));
