// What the weights of many explanations have in common: the mean of each step, and how far it spreads.

import { html, svg } from "./dom.js";
import { nice } from "./chart.js";
import { heaviest, percent } from "./words.js";

const HEIGHT = 96, LEFT = 46, RIGHT = 14, TOP = 16, AXIS = 20; // pixels

/** Fills a host with what GET /attention/summary found of one sequence or more. */
export function drawProfile(host, { count, explanations, steps, top }) {
  const often = top.slice(0, 3).map(({ share, step }) => `step ${step} (${percent(share, 0)})`).join(", ");
  host.replaceChildren(
    html("p", { class: "quiet" }, `Mean weight of each step over ${count} sequence${count > 1 ? "s" : ""} of the latest ${explanations} explanations; lines from the 5 % to the 95 % quantile. Most often the heaviest: ${often}.`),
    picture(steps, Math.max(260, host.clientWidth)),
  );
}

function picture(steps, width) {
  const most = Math.max(0.01, ...steps.map(({ quantiles }) => quantiles["0.95"]), ...steps.map(({ mean }) => mean));
  const spacing = (width - LEFT - RIGHT) / steps.length;
  const x = (step) => LEFT + (step + 0.5) * spacing;
  const y = (weight) => TOP + (HEIGHT - TOP) * (1 - weight / most);
  const means = steps.map(({ mean }) => mean);
  const first = heaviest(means);
  const bars = means.map((mean, step) => svg("rect", { class: first.includes(step) ? "bar first" : "bar", "data-step": step, x: x(step) - spacing * 0.4, width: spacing * 0.8, y: y(mean), height: HEIGHT - y(mean) }));
  const spread = steps.map(({ quantiles }, step) => `M${x(step).toFixed(1)} ${y(quantiles["0.05"]).toFixed(1)}V${y(quantiles["0.95"]).toFixed(1)}`).join("");
  const marks = nice(0, steps.length - 1, Math.min(10, width / 70)).filter(Number.isInteger).map((step) => svg("text", { class: "tick", x: x(step), y: HEIGHT + 16 }, step));
  const sides = [0, most].map((weight) => [svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(weight), y2: y(weight) }), svg("text", { class: "tick side", x: LEFT - 6, y: y(weight) + 4 }, percent(weight, 0))]);
  const label = `Mean weights of ${steps.length} steps; most on step ${first.map((step) => `${step} (${percent(means[step], 0)})`).join(", ")}`;
  const size = { width, height: HEIGHT + AXIS, viewBox: `0 0 ${width} ${HEIGHT + AXIS}` };
  return svg("svg", { class: "chart profile", role: "img", "aria-label": label, ...size }, sides, bars, svg("path", { class: "spread", d: spread }), marks);
}
