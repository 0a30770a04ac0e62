// The pointer on the chart of a sequence: it picks a step, drags a point, and sweeps over steps to mask them.
// Where things are it asks Vega: pixels and values by the panels' scales, panels by the groups of marks named after them.

import { isCharted } from "./picture.js";

const NEAR = 16; // pixels from which a point is caught
const OVER = 8; // pixels that it may be dragged over the end of its axis, which follows when it is let go

/** Listens on a chart for a bench. */
export class Pointer {
  constructor(chart, bench) {
    Object.assign(this, { chart, bench, held: null });
    const on = (name, handle) => chart.host.addEventListener(name, handle, { passive: false });
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.isLive() && this.move(event));
    on("pointerup", () => this.release());
    on("pointercancel", () => this.cancel());
    on("touchstart", (event) => this.held?.panel && event.preventDefault()); // or the page scrolls
  }

  /** Whether the chart is of what the bench holds. */
  isLive() {
    return this.chart.panels.length > 0 && isCharted(this.bench);
  }

  press(event) {
    if (!event.isPrimary) return this.cancel(); // two fingers zoom
    if (event.button !== 0 || !this.isLive()) return undefined;
    const at = this.at(event);
    const caught = this.catch(at);
    this.bench.pick(at.step, caught?.feature);
    if (!caught) return undefined;
    event.preventDefault();
    this.chart.host.setPointerCapture(event.pointerId);
    return (this.held = caught);
  }

  /** {step, panel: the given one, or the nearest, y: pixels below its upper edge, value: there on its scale}. */
  at({ clientX, clientY }, given) {
    const { panels, svg, view } = this.chart;
    const groups = view.scenegraph().root.items[0].items;
    const box = ({ name }) => groups.find((group) => group.name === `${name}_group`).items[0];
    const [from, to] = [svg.getBoundingClientRect(), view.origin()];
    const [across, down] = [clientX - from.left - to[0], clientY - from.top - to[1]];
    const away = (panel) => Math.max(box(panel).y - down, down - box(panel).y - box(panel).height);
    const panel = given ?? panels.reduce((a, b) => (away(b) < away(a) ? b : a));
    const steps = view.scale("x");
    const step = clamp(Math.round(steps.invert(across - box(panel).x)), 0, steps.domain()[1] - 0.5);
    const y = clamp(down - box(panel).y, -OVER, box(panel).height + OVER);
    return { panel, step, y, value: view.scale(`${panel.name}_y`).invert?.(y) };
  }

  /** What can be moved from a place: a point, {step, feature, panel}; the end of a stretch, {from}; or nothing, null. */
  catch({ step, panel, y }) {
    if (!this.bench.changeable) return null;
    if (panel.kind !== "values") return { from: step };
    const { manifest, picked, sequence } = this.bench;
    const row = this.chart.view.scale(`${panel.name}_y`);
    const points = panel.features.map((name) => manifest.features.indexOf(name)).map((feature) => ({ feature, away: Math.abs(row(sequence[step][feature]) - y) }));
    const [nearest] = points.sort((a, b) => a.away - b.away || (b.feature === picked.feature) - (a.feature === picked.feature));
    return nearest.away < NEAR ? { step, feature: nearest.feature, panel } : null;
  }

  move(event) {
    const { bench, chart, held } = this;
    if (held === null) return this.hover(event);
    const at = this.at(event, held.panel);
    if (held.panel) return bench.setValue(held.step, held.feature, Number(at.value.toPrecision(4)));
    held.swept = [held.from, at.step].sort((a, b) => a - b);
    return bench.sweep(held.swept);
  }

  /** Shows what a press would do. */
  hover(event) {
    const caught = this.catch(this.at(event));
    this.chart.host.dataset.over = caught?.panel ? "point" : caught ? "steps" : "";
  }

  release() {
    const { bench, held } = this;
    this.held = null;
    if (held?.swept) bench.mask(...held.swept);
    else if (held?.panel) bench.pick(held.step);
  }

  /** The page is scrolled or zoomed instead. */
  cancel() {
    if (this.held === null) return;
    this.held = null;
    this.bench.sweep(null);
  }
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
