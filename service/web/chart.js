// A chart of the server's: Vega draws its definition, as wide as the page, and in the same view while only its data change.

import { html } from "./dom.js";

const OPTIONS = { ast: true, actions: false, defaultStyle: false, renderer: "svg", tooltip: { disableDefaultStyle: true } };

let library = null; // a promise of vegaEmbed

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
 * view: of Vega, or null. panels: what is drawn from the top down, as the definition says: {kind, features, name}.
 */
export class Chart {
  constructor(host) {
    Object.assign(this, { host, view: null, names: [], panels: [], kept: null });
    host.chart = this; // for the console, and for tests
    new ResizeObserver(() => this.fit()).observe(host);
  }

  /**
   * Draws a definition; one that differs from the last by its data alone, in the same view.
   *
   * others: rows that take the place of its own, by the name of the data. held: see `put`.
   */
  async show({ datasets = {}, title, description, ...rest }, others = {}, held = undefined) {
    const rows = Object.fromEntries(Object.entries(datasets).map(([name, given]) => [name, others[name] ?? given]));
    const kept = JSON.stringify(rest);
    if (kept !== this.kept) await this.embed({ ...rest, datasets: rows });
    await this.put(kept === this.kept ? rows : {}, held);
    this.kept = kept;
    this.figure.setAttribute("role", "img"); // Vega calls it a document of graphics
    this.figure.setAttribute("aria-label", description);
  }

  /**
   * Other rows, by the name of the data, as far as the chart has it. held: ends of axes that do not follow the data,
   * {panel: [low, high]}; undefined: as they were.
   */
  async put(datasets, held) {
    if (this.view === null) return;
    for (const name of this.names) if (datasets[name]) this.view.data(name, datasets[name]);
    if (held !== undefined && this.panels.length) this.view.signal("held", held);
    await this.view.runAsync();
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
    Object.assign(this, { view: null, names: [], panels: [], kept: null, finalize: null });
    this.host.replaceChildren(...children);
  }

  async embed(definition) {
    const draw = await vega();
    const figure = html("div", { class: "figure" });
    const { view, finalize } = await draw(figure, { ...definition, background: "transparent", padding: 2 }, OPTIONS);
    this.clear(figure);
    Object.assign(this, { view, finalize, figure, names: Object.keys(definition.datasets), ...definition.usermeta });
    this.svg.setAttribute("aria-hidden", "true"); // the figure is described, as a whole
    await this.fit();
  }

  get svg() {
    return this.figure.querySelector("svg");
  }

  /** As wide as the host: what stands beside the panels, axes and names, keeps its size. */
  async fit() {
    if (this.view === null) return;
    const { view, svg, least, most } = this;
    for (let time = 0; time < 2; time++) { // a name at the end of a line hangs over by more, the narrower its panel
      const beside = svg.width.baseVal.value - view.width();
      await view.width(Math.max(least, Math.min(most, this.host.clientWidth - beside))).runAsync();
    }
    if (this.figure.scrollWidth > this.figure.clientWidth) this.figure.tabIndex = 0; // to scroll by keyboard
    else this.figure.removeAttribute("tabindex");
  }
}
