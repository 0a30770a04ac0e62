// A sequence of numbers over time, drawn so that it can be changed: values, weights, and what each step changes.

import { svg } from "./dom.js";
import { drop, heaviest, number, percent } from "./words.js";

const LEFT = 46, RIGHT = 14, VALUES = 190, BAND = 12, BARS = 84, GAP = 22, AXIS = 34; // pixels
const NEAR = 16; // pixels from which a point is caught
const MOST_BARS = 600; // more are one outline
const MOST_NAMED = 4; // features; of more, only the chosen one is

/**
 * Draws into a host element, and says what the pointer does there.
 *
 * what.pick(step): a step was chosen; what.drag(step, feature, value): a point was moved; what.mask(from, to): steps were
 * swept over.
 */
export class SequenceChart {
  constructor(host, what) {
    this.what = what;
    this.root = svg("svg", { class: "chart", role: "img" });
    host.append(this.root);
    this.root.addEventListener("pointerdown", (event) => this.press(event));
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerup", (event) => this.release(event));
    this.root.addEventListener("pointercancel", () => (this.held = null));
    new ResizeObserver(() => this.view && this.draw(this.view)).observe(host);
    this.host = host;
  }

  /**
   * Draws a view: {features, values (time, feature) or null, weights (time) or null, perFeature (time, feature) or null,
   * before: {values, weights} as they were, or null, changes (time) or null, feature, step, masked: [from, to] or null}.
   */
  draw(view) {
    this.view = view;
    this.length = (view.values ?? view.weights).length;
    this.width = Math.max(260, this.host.clientWidth);
    if (!this.held) this.domain = view.values && extent(view.values, view.before?.values);
    const drawn = [];
    let y = 8;
    if (view.values) (this.valuesTop = y), drawn.push(this.lines(y)), (y += VALUES + GAP);
    this.barsTop = y;
    if (view.weights) {
      const rows = view.perFeature ? view.features.length : 1;
      drawn.push(this.band(y, rows), this.bars(y + BAND * rows + 6, view.weights, view.before?.weights, "weight", percent0));
      y += BAND * rows + 6 + BARS + GAP;
    }
    if (view.changes) drawn.push(this.bars(y, view.changes, null, "change without the step", drop)), (y += BARS + GAP);
    const height = y - GAP + AXIS;
    this.height = height - AXIS;
    this.root.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.root.setAttribute("width", this.width);
    this.root.setAttribute("height", height);
    this.root.replaceChildren(this.stretch(), this.rules(), ...drawn, this.axis(), this.chosen());
    this.root.setAttribute("aria-label", describe(view));
  }

  /** Another step is chosen, and nothing else changes: long sequences take their time to draw. */
  pick(step) {
    this.view.step = step;
    this.root.querySelector(".rules").replaceWith(this.rules());
    this.root.querySelector(".chosen-point").replaceWith(this.chosen());
  }

  get spacing() {
    return (this.width - LEFT - RIGHT) / this.length;
  }

  x(step) {
    return LEFT + (step + 0.5) * this.spacing;
  }

  y(value) {
    const [low, high] = this.domain;
    return this.valuesTop + VALUES * (1 - (value - low) / (high - low));
  }

  /** The lines of all features, the chosen one in front with its points. */
  lines(top) {
    const { values, before, features, feature } = this.view;
    const line = (rows, column) => rows.map((row, i) => `${i ? "L" : "M"}${this.x(i).toFixed(1)} ${this.y(row[column]).toFixed(1)}`).join("");
    const others = features.map((_, column) => column !== feature && svg("path", { class: "line", d: line(values, column) }));
    const old = before?.values && svg("path", { class: "line old", d: line(before.values, feature) });
    const points = this.spacing < 5 ? [] : values.map((row, i) => this.point(i, row[feature], before?.values?.[i][feature]));
    const ticks = nice(...this.domain, 4).map((tick) => this.tick(tick, this.y(tick), number(tick)));
    const named = features.length > MOST_NAMED ? [features[feature]] : features;
    const spans = named.map((one) => svg("tspan", { class: one === features[feature] ? "chosen" : null, dx: one === named[0] ? 0 : 10 }, one));
    const name = svg("text", { class: "name", x: LEFT, y: top + 2 }, spans);
    return svg("g", { class: "values" }, ticks, others.filter(Boolean), old || [], svg("path", { class: "line chosen", d: line(values, feature) }), points, name);
  }

  chosen() {
    const { values, feature, step } = this.view;
    return svg("g", { class: "chosen-point" }, values && svg("circle", { class: "point picked", cx: this.x(step), cy: this.y(values[step][feature]), r: 6 }));
  }

  point(step, value, old) {
    const moved = old !== undefined && old !== value;
    const place = { cx: this.x(step), cy: this.y(value) };
    const reach = Math.min(12, Math.max(6, this.spacing / 2));
    return [
      svg("circle", { class: moved ? "point moved" : "point", ...place, r: 3 }),
      svg("circle", { class: "reach", ...place, r: reach, "data-step": step }, svg("title", {}, `step ${step}: ${number(value)}`)),
    ];
  }

  /** The weights as a strip of light and dark, a row for each feature that has its own. */
  band(top, rows) {
    const { weights, perFeature } = this.view;
    const most = Math.max(...(perFeature ? perFeature.flat() : weights)) || 1;
    const cells = [];
    for (let row = 0; row < rows; row++) {
      weights.forEach((weight, step) => {
        const share = (perFeature ? perFeature[step][row] : weight) / most;
        if (share < 0.01) return;
        const place = { x: this.x(step) - this.spacing / 2, y: top + row * BAND, width: this.spacing, height: BAND };
        cells.push(svg("rect", { ...place, "fill-opacity": share.toFixed(3) }));
      });
    }
    return svg("g", { class: "band" }, svg("rect", { class: "ground", x: LEFT, y: top, width: this.width - LEFT - RIGHT, height: BAND * rows }), cells);
  }

  /** A bar for each step, the largest three named; lines say how large they were before. */
  bars(top, sizes, before, name, say) {
    const low = Math.min(0, ...sizes), high = Math.max(...sizes, ...(before ?? []), name === "weight" ? 0.01 : 0.05);
    const y = (size) => top + 14 + (BARS - 14) * (1 - (size - low) / (high - low));
    const first = heaviest(sizes);
    const bar = (size, step, kind) => svg("rect", {
      class: kind, "data-step": step, x: this.x(step) - this.spacing * 0.4, width: this.spacing * 0.8,
      y: Math.min(y(size), y(0)), height: Math.max(Math.abs(y(size) - y(0)), 0.5),
    });
    const drawn = sizes.length > MOST_BARS ? [this.outline(sizes, y)] : sizes.map((size, step) => bar(size, step, first.includes(step) ? "bar first" : "bar"));
    const old = before && before.map((size, step) => `M${this.x(step) - this.spacing * 0.4} ${y(size)}h${this.spacing * 0.8}`).join("");
    const names = apart(first.filter((step) => step === first[0] || sizes[step] > 0.05 * high).map((step) => ({ x: this.x(step), y: y(sizes[step]) - 4, text: say(sizes[step]) })));
    const label = svg("text", { class: "name", x: LEFT, y: top + 4 }, name);
    return svg("g", { class: name === "weight" ? "weights" : "changes" }, this.tick(0, y(0), "0"), drawn, old && svg("path", { class: "was", d: old }), names.map(({ text, ...place }) => svg("text", { class: "size", ...place }, text)), label);
  }

  outline(sizes, y) {
    const path = sizes.map((size, step) => `L${this.x(step).toFixed(1)} ${y(size).toFixed(1)}`).join("");
    return svg("path", { class: "bar first", d: `M${this.x(0)} ${y(0)}${path}L${this.x(this.length - 1)} ${y(0)}Z` });
  }

  /** Dashed lines through the steps that weigh most, a full one through the chosen step. */
  rules() {
    const across = (step, kind) => svg("line", { class: kind, x1: this.x(step), x2: this.x(step), y1: 4, y2: this.height + 4 });
    const first = this.view.weights ? heaviest(this.view.weights, 1) : [];
    return svg("g", { class: "rules" }, first.map((step) => across(step, "heavy")), across(this.view.step, "picked"));
  }

  /** The steps that are masked, or about to be. */
  stretch() {
    const [from, to] = this.swept ?? this.view.masked ?? [0, -1];
    const place = { x: this.x(from) - this.spacing / 2, width: Math.max(0, (to - from + 1) * this.spacing) };
    return svg("rect", { class: "stretch", ...place, y: 4, height: this.height });
  }

  axis() {
    const steps = nice(0, this.length - 1, Math.min(10, this.width / 70)).filter((step) => Number.isInteger(step));
    const marks = steps.map((step) => svg("text", { class: "tick", x: this.x(step), y: this.height + 18 }, step));
    return svg("g", { class: "axis" }, marks, svg("text", { class: "tick", x: this.width - RIGHT, y: this.height + 32, "text-anchor": "end" }, "step"));
  }

  tick(value, y, text) {
    return [svg("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }), svg("text", { class: "tick side", x: LEFT - 6, y: y + 4 }, text)];
  }

  press(event) {
    const [x, y] = this.place(event);
    const step = this.stepAt(x);
    this.what.pick(step);
    if (!this.view.values || !this.what.changes()) return;
    if (y >= this.barsTop) this.held = { from: step };
    else if (Math.abs(y - this.y(this.view.values[step][this.view.feature])) < NEAR) this.held = { step };
    else return;
    event.preventDefault();
    this.root.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.held) return;
    const [x, y] = this.place(event);
    if (this.held.from === undefined) {
      const [low, high] = this.domain;
      const share = 1 - (Math.min(Math.max(y, this.valuesTop), this.valuesTop + VALUES) - this.valuesTop) / VALUES;
      this.what.drag(this.held.step, this.view.feature, Number((low + share * (high - low)).toPrecision(4)));
    } else {
      const step = this.stepAt(x);
      this.swept = [Math.min(step, this.held.from), Math.max(step, this.held.from)];
      this.draw(this.view);
    }
  }

  release() {
    const swept = this.swept;
    this.held = this.swept = null;
    if (swept) this.what.mask(...swept);
    else if (this.view) this.draw(this.view);
  }

  place(event) {
    const box = this.root.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  stepAt(x) {
    return Math.min(this.length - 1, Math.max(0, Math.floor((x - LEFT) / this.spacing)));
  }
}

const percent0 = (share) => percent(share, share < 0.1 ? 1 : 0);

/** The range of all values, with room above and below. */
function extent(...given) {
  let low = Infinity, high = -Infinity;
  for (const rows of given) for (const row of rows ?? []) for (const value of row) (low = Math.min(low, value)), (high = Math.max(high, value));
  const room = 0.08 * (high - low) || 1;
  return [low - room, high + room];
}

/** About so many round numbers from low to high. */
export function nice(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Names of bars without those that would cover one before them. */
function apart(names) {
  const kept = [];
  for (const name of names) {
    if (kept.every(({ x, y }) => Math.abs(x - name.x) >= 40 || Math.abs(y - name.y) >= 11)) kept.push(name);
  }
  return kept;
}

function describe({ features, values, weights, changes }) {
  const length = (values ?? weights).length;
  const parts = [`${length} steps of ${features.length > 3 ? `${features.length} features` : features.join(", ")}`];
  if (weights) parts.push(`most weight on step ${heaviest(weights).map((step) => `${step} (${percent0(weights[step])})`).join(", ")}`);
  if (changes) parts.push(`the prediction changes most without step ${heaviest(changes).map((step) => `${step} (${drop(changes[step])})`).join(", ")}`);
  return parts.join("; ");
}
