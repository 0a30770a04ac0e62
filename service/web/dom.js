// Elements made in one expression.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** An HTML element; attributes that are functions listen to the event of that name, null ones are left out. */
export const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element, likewise. */
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Options for a select: pairs of value and text. */
export function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => html("option", { value }, text)));
  if (chosen !== undefined) select.value = chosen;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** light or dark, as the page is. */
export const theme = () => (dark.matches ? "dark" : "light");

/** Has something drawn again whenever the page turns light or dark. */
export const onTheme = (draw) => dark.addEventListener("change", draw);

/** Links to a picture of the server's in each format, light or dark as the page is. */
export function pictures(path, sequence) {
  return ["svg", "png", "html"].map((format) => html("a", { href: `${path}.${format}?sequence=${sequence}&theme=${theme()}` }, format.toUpperCase()));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}
