// A text read and a text written: for each character of the answer, where in the text it looked.

import { html, svg } from "./dom.js";
import { heaviest, percent } from "./words.js";

const SMALL = 18, LARGE = 32, LEFT = 28, TOP = 28; // pixels

/** Draws into a host element; view: {text or null, answer, rows: (answer, text) weights}. */
export function drawMatrix(host, { text, answer, rows }) {
  const length = rows[0]?.length ?? 0;
  const characters = [...(text ?? "")];
  const size = Math.min(LARGE, Math.max(SMALL, Math.floor((host.clientWidth - LEFT - 2) / length)));
  const cells = rows.flatMap((row, out) => row.map((weight, step) => cell(weight, step, out, size)).filter(Boolean));
  const above = Array.from({ length }, (_, step) => letter(characters[step] ?? "·", LEFT + (step + 0.5) * size, TOP - 8));
  const beside = [...answer].map((character, out) => letter(character, LEFT - 12, TOP + (out + 0.5) * size + 5));
  const whole = { width: LEFT + length * size + 2, height: TOP + rows.length * size + 2 };
  const ground = svg("rect", { class: "ground", x: LEFT, y: TOP, width: length * size, height: rows.length * size });
  const name = `Weights of ${length} characters read, for each of ${answer.length} written: ${describe(answer, characters, rows)}`;
  const picture = svg("svg", { class: "matrix", role: "img", "aria-label": name, ...whole, viewBox: `0 0 ${whole.width} ${whole.height}` }, ground, cells, above, beside);
  host.replaceChildren(html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Weights of characters" }, picture));
}

function cell(weight, step, out, size) {
  if (weight < 0.004) return null;
  const place = { x: LEFT + step * size, y: TOP + out * size, width: size - 1, height: size - 1 };
  const rect = svg("rect", { class: "cell", "data-in": step, "data-out": out, ...place, "fill-opacity": weight.toFixed(3) });
  rect.append(svg("title", {}, percent(weight)));
  return rect;
}

const letter = (character, x, y) => svg("text", { class: "letter", x, y }, character.trim() ? character : "␣");

function describe(answer, characters, rows) {
  return rows.map((row, out) => {
    const [step] = heaviest(row, 1);
    return `${answer[out]} from ${characters[step] ?? `place ${step}`} (${percent(row[step], 0)})`;
  }).join(", ");
}
