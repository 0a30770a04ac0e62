// A chart of the server's: Vega draws its definition, as wide as the page, and in the same view while only its data change.

import { html } from "./dom.js";

const OPTIONS = { ast: true, actions: false, defaultStyle: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };

const LETTER = 9; // pixels of a letter of a label, and of the room around it
const isLabels = (name) => /(^|-)top$/.test(name);

let library = null; // a promise of window.vegaEmbed

/** What draws: asked of the server when it is needed first, and then kept by the browser. */
export function vega() {
  library ??= new Promise((resolve, reject) => {
    const src = document.documentElement.dataset.vega;
    const failed = () => {
      library = null; // to be tried again
      reject(new Error(`expected ${src}, which draws the charts, received nothing that runs`));
    };
    document.head.append(html("script", { src, load: () => resolve(window.vegaEmbed), error: failed }));
  });
  return library;
}

/**
 * Draws into a host element.
 *
 * view: of Vega, or null. panels: what is drawn from the top down, as the definition says: {kind, features, name}. names: of the
 * data. drawn: the rows of each, the ends of axes, and all else of the definition as text; what is drawn is not drawn again.
 */
export class Chart {
  constructor(host) {
    this.host = host;
    this.clear(...host.children);
    host.chart = this; // for the console, and for tests
    new ResizeObserver(() => this.fit()).observe(host);
  }

  /** Whether a definition differs from the drawn one by its data alone: then the view stays. */
  fits(definition) {
    return frame(definition) === this.drawn.frame;
  }

  /** Draws a definition. others: rows that take the place of its own, by the name of the data. held: see `put`. */
  async show(definition, others, held) {
    const datasets = { ...definition.datasets, ...others };
    if (!this.fits(definition)) await this.embed(definition);
    await this.put(datasets, held);
    this.figure.setAttribute("role", "img"); // Vega calls it a document of graphics
    this.figure.setAttribute("aria-label", definition.description);
  }

  /**
   * Other rows, by the name of the data, as far as the chart has it. held: ends of axes that do not follow the data,
   * {panel: [low, high]}.
   */
  async put(datasets, held = {}) {
    if (this.view === null) return;
    const { drawn, view } = this;
    for (const name of this.names) {
      const rows = datasets[name];
      if (rows && rows !== drawn[name]) view.data(name, this.spread(name, (drawn[name] = rows)));
    }
    const ends = JSON.stringify(held);
    if (this.panels.length && ends !== drawn.ends) view.signal("held", held);
    drawn.ends = ends;
    const { width } = this;
    await view.resize().runAsync(); // other labels take other room
    if (this.view === view && this.width !== width) await this.fit();
  }

  /** Rows in the place of those that are the same by their key, to be seen with the next `put`: quicker than to put all. */
  async replace(name, rows, key) {
    if (!this.names.includes(name)) return;
    const [{ view }, keys] = [this, new Set(rows.map(key))];
    this.drawn[name] = null;
    await view.remove(name, (row) => keys.has(key(row))).runAsync();
    view.insert(name, rows.map((row) => ({ ...row })));
  }

  /** Ends of the axes, {panel: [low, high]}. */
  axes() {
    return Object.fromEntries(this.panels.map(({ name }) => [name, this.view.scale(`${name}_y`).domain()]));
  }

  /** The rows of a data set, as far as the chart has it. */
  rows(name) {
    return this.names.includes(name) ? this.view.data(name) : undefined;
  }

  /** Nothing is to be seen any more but these. */
  clear(...children) {
    this.finalize?.();
    Object.assign(this, { view: null, finalize: null, names: [], panels: [], drawn: {} });
    this.host.replaceChildren(...children);
  }

  async embed(definition) {
    const draw = await vega();
    const figure = html("div", { class: "figure", scroll: () => this.cue() });
    const bare = { ...definition, title: null, description: null, background: "transparent", padding: 5 };
    const { view, finalize } = await draw(figure, bare, OPTIONS);
    this.clear(figure);
    const names = Object.keys(definition.datasets ?? {});
    Object.assign(this, { view, finalize, figure, names, drawn: { ...definition.datasets, frame: frame(definition) }, ...definition.usermeta });
    this.svg.setAttribute("aria-hidden", "true"); // the figure is described, as a whole
    await this.fit();
  }

  get svg() {
    return this.figure.querySelector("svg");
  }

  /** Of all that is drawn, in pixels. */
  get width() {
    return this.svg.width.baseVal.value;
  }

  /** As wide as the host: what stands beside the panels, axes and names, keeps its size. */
  async fit() {
    if (this.view === null) return;
    const { view, least, most } = this;
    for (let time = 0; time < 2; time++) { // a name at the end of a line hangs over by more, the narrower its panel
      const beside = this.width - view.width();
      await view.width(Math.max(least, Math.min(most, this.host.clientWidth - beside))).runAsync();
    }
    for (const name of this.names.filter(isLabels)) view.data(name, this.spread(name, this.drawn[name]));
    await view.runAsync();
    if (this.figure.scrollWidth > this.figure.clientWidth) this.figure.tabIndex = 0; // to scroll by keyboard
    else this.figure.removeAttribute("tabindex");
    this.cue();
  }

  /** Rows of labels, the most important first: those that would be on top of another have no text. All others as they are. */
  spread(name, rows) {
    if (!isLabels(name) || !rows.length || !this.panels.length) return rows;
    const [first, last] = this.view.scale("x").domain(), pixels = this.view.width() / (last - first);
    const kept = [];
    return rows.map((row) => {
      const free = kept.every((other) => Math.abs(row.step - other.step) * pixels >= (LETTER * (row.text.length + other.text.length)) / 2);
      if (free && row.text) kept.push(row);
      return { ...plain(row), text: free ? row.text : "" };
    });
  }

  /** Marks the sides on which there is more to scroll to. */
  cue() {
    const [{ classList }, { clientWidth, scrollLeft, scrollWidth }] = [this.host, this.figure];
    classList.toggle("more-before", scrollLeft > 1);
    classList.toggle("more-behind", scrollLeft + clientWidth < scrollWidth - 1);
  }
}

/** A row without what Vega has noted on it. */
export const plain = (row) => Object.fromEntries(Object.entries(row));

/** All of a definition but its data and what it says in words. */
const frame = ({ datasets, description, title, ...rest }) => JSON.stringify(rest);
