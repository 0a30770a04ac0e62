// The explanations that are kept: listed, filtered, page by page; of one model, with its mean weights and as files.

import { KEEPS, get, latest } from "./api.js";
import { Chart } from "./chart.js";
import { html, onTheme, options, theme } from "./dom.js";
import { fail } from "./problem.js";
import { time } from "./words.js";

const PAGE = 10;

/** Fills the section, and returns what lists again. */
export function drawStored(host, models) {
  const title = html("h2", { id: "stored-title" }, "Stored explanations");
  if (!KEEPS) {
    host.replaceChildren(title, html("p", { class: "quiet" }, "This server keeps no explanations (it was started with ", html("code", {}, "--store none"), "). Predictions and their weights are shown here all the same, but there is nothing to list, to link to or to test in full."));
    return () => {};
  }
  const { filter, filters } = makeFilters(models, show);
  const { overview, summarize } = makeOverview(models);
  const rows = html("tbody");
  const heads = ["When", "Model", "Labels", "Sequences"].map((name) => html("th", { scope: "col" }, name));
  const table = html("table", { class: "list", hidden: true }, html("caption", { class: "unseen" }, "Stored explanations, newest first"), html("thead", {}, html("tr", {}, heads)), rows);
  const nothing = html("p", { class: "quiet", hidden: true });
  const more = html("button", { type: "button", hidden: true, click: () => more.dataset.next && list(more.dataset.next) }, "Show older ones");
  let turn = 0; // of the latest list: an earlier one that comes after it is not shown

  async function list(cursor) {
    const [asked, mine] = [filter(), (turn += 1)];
    more.dataset.next = ""; // no page of another list meanwhile
    try {
      const page = await get("/attention", { ...asked, limit: PAGE, cursor });
      if (mine !== turn) return;
      if (cursor === null) rows.replaceChildren();
      const added = page.explanations.map(row);
      rows.append(...added);
      tell(rows.childElementCount ? "" : asked.model || asked.label ? "None is kept that fits." : "None yet. “Keep and link” puts one here, and so does every POST /predict.");
      more.dataset.next = page.next ?? "";
      if (page.next === null && document.activeElement === more) added[0]?.querySelector("a").focus(); // the button goes
      more.hidden = page.next === null;
      fail(null, "list");
    } catch (error) {
      if (mine !== turn) return;
      more.dataset.next = cursor ?? "";
      if (cursor === null) { // rows of another filter are not left
        rows.replaceChildren();
        more.hidden = true;
        tell("They could not be listed.");
      }
      fail(error, "list");
    }
  }

  /** Says why there are no rows; an empty text: there are. */
  function tell(why) {
    table.hidden = why !== "";
    nothing.hidden = why === "";
    nothing.textContent = why;
  }

  function show() {
    summarize(filter());
    list(null);
  }

  host.replaceChildren(html("div", { class: "row spread" }, title, filters), nothing, overview, html("div", { class: "fit" }, table), more);
  show();
  onTheme(show);
  return show;
}

function makeFilters(models, changed) {
  const names = [...new Set(models.map((info) => info.manifest.name))];
  const model = html("select", { change: changed });
  options(model, [["", "all"], ...names.map((name) => [name, name])]);
  const known = [...new Set(models.flatMap((info) => info.manifest.labels))];
  // A whole label and none count as they are typed or chosen, anything else when it is entered.
  const whole = () => label.value === "" || known.includes(label.value);
  const label = html("input", { type: "search", list: "labels", autocomplete: "off", input: () => whole() && changed(), change: () => whole() || changed() });
  const labels = html("datalist", { id: "labels" }, known.map((name) => html("option", { value: name })));
  const filters = html("div", { class: "row" }, html("label", { class: "field" }, "Of model ", model), html("label", { class: "field" }, "With label ", label), labels);
  return { filters, filter: () => ({ model: model.value, label: label.value }) };
}

/** The mean weights of one model, where its steps mean the same in every sequence, and its explanations as files. */
function makeOverview(models) {
  const [told, profile] = [html("p", { class: "quiet" }), html("div", { id: "profile" })];
  const chart = new Chart(profile);
  const files = ["csv", "parquet", "npz"].map((format) => [format, html("a", { download: true }, format.toUpperCase())]);
  const overview = html("div", { id: "overview", hidden: true }, told, profile, html("p", { class: "quiet row" }, "The newest 1,000 as files:", files.map(([, link]) => link)));

  async function draw(asked) {
    const manifest = models.find((info) => info.manifest.name === asked.model)?.manifest;
    overview.hidden = true;
    if (!manifest?.attention) return;
    const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
    for (const [format, link] of files) link.href = `/attention/export.${format}?${query}`;
    await (manifest.vocabulary === null ? drawMean(asked) : drawNoMean(asked));
  }

  /** Where there are any. */
  async function drawMean(asked) {
    const definition = await get("/attention/summary.vl.json", { ...asked, theme: theme() });
    overview.hidden = definition.usermeta.panels[0].kind === "nothing";
    if (overview.hidden) return;
    told.textContent = [...definition.title.text, ...definition.title.subtitle].join(" · ");
    await chart.show(definition);
  }

  /** Of texts there is no mean: no step means the same in two of them. */
  async function drawNoMean(asked) {
    const { explanations } = await get("/attention", { ...asked, limit: 1 });
    overview.hidden = explanations.length === 0;
    told.textContent = "";
    chart.clear();
  }

  const summarize = latest((asked) => draw(asked).then(() => fail(null, "profile"), (error) => fail(error, "profile")));
  return { overview, summarize };
}

const row = ({ created, id, labels, model, sequences, url, version }) =>
  html("tr", {},
    html("td", {}, html("a", { href: url, title: id }, html("time", { datetime: created }, time(created)))),
    html("td", {}, `${model}, ${version}`),
    html("td", {}, labels.join(", ") || "–"),
    html("td", { class: "count" }, sequences));
