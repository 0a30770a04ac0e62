// Numbers in columns, as spreadsheets and loggers write them.

/**
 * Reads lines of numbers for these features.
 *
 * Returns {sequences, note}: [[[feature, ...], ...], ...]; and what was taken for granted, or null. Throws an Error that says
 * what was expected, what was received, and in which line.
 */
export function readCsv(text, features) {
  const lines = text.split(/\r?\n/).map((content, index) => ({ content, line: index + 1 })).filter(({ content }) => content.trim());
  const separator = separatorOf(lines);
  const read = reader(separator);
  const rows = lines.map(({ content, line }) => ({ cells: cellsOf(content, separator), line })).filter(({ cells }) => cells.some((cell) => cell !== ""));
  if (rows.length === 0) throw new Error("expected lines of numbers, received none");
  const names = rows[0].cells.some((cell) => read(cell) !== null) ? null : bare(rows.shift().cells, 1);
  if (rows.length === 0) throw new Error("expected lines of numbers below the names, received none");
  if (features.length === 1 && (names ?? features).length === 1) {
    const several = rows.map(({ cells, line }) => ({ cells: bare(cells, 1), line }));
    if (separator === ",") refuseDecimalCommas(several);
    if (names === null && several.some(({ cells }) => cells.length > 1)) {
      return { sequences: several.map(({ cells, line }) => cells.map((cell) => [value(cell, line, read)])), note: null };
    }
  }
  const { places, note } = placesOf(features, names);
  return { sequences: [rows.map((row) => step(row, places, names ?? features, read))], note };
}

/** What stands between the cells of a line, by the first that is not empty; spaces where there are but numbers between them. */
function separatorOf(lines) {
  const mark = [";", "\t", ","].find((one) => lines[0].content.includes(one));
  const last = lines.at(-1).content.trim().split(/\s+/);
  return mark ?? (last.length > 1 && last.every((cell) => reader(" ")(cell) !== null) ? " " : ",");
}

const cellsOf = (content, separator) =>
  (separator === " " ? content.trim().split(/\s+/) : content.split(separator)).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));

/** A cell as a number, or null. Where no comma stands between cells, it may stand in a number, as most of Europe writes it. */
const reader = (separator) => (cell) => {
  const plain = separator === "," ? cell : cell.replace(",", ".");
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
};

function value(cell, line, read) {
  const found = read(cell);
  if (found === null) throw new Error(`line ${line}: expected a number, received ${JSON.stringify(cell)}`);
  return found;
}

/** Cells without the empty ones behind the last, down to so many: lines may end in a separator. */
function bare(cells, least) {
  const last = cells.findLastIndex((cell) => cell !== "");
  return cells.slice(0, Math.max(least, last + 1));
}

/** 1,5 may be a number and a half, or two numbers; nobody guesses which. */
function refuseDecimalCommas(rows) {
  const whole = rows.every(({ cells }) => cells.length <= 2 && cells.every((cell) => /^[+-]?\d+$/.test(cell)));
  const two = rows.find(({ cells }) => cells.length === 2);
  if (!whole || !two) return;
  const [first, second] = two.cells;
  throw new Error(`line ${two.line}: expected a number or several, received ${first},${second}, which may be either: write ${first}.${second} for one, or ${first};${second} for two`);
}

/** In which column each feature stands; names: of the columns, or null. */
function placesOf(features, names) {
  const known = (names ?? features).map((name) => name.toLowerCase());
  const places = features.map((feature) => known.indexOf(feature.toLowerCase()));
  const missing = features.filter((_, index) => places[index] < 0);
  if (missing.length === 0) return { places, note: null };
  if (missing.length < features.length || names.length !== features.length) {
    throw new Error(`expected a column for each of ${features.join(", ")}, received ${names.join(", ")}: ${missing.join(", ")} is missing`);
  }
  return { places: features.map((_, index) => index), note: `None of the columns is called as a feature is: ${names.join(", ")} were taken for ${features.join(", ")}, in this order.` };
}

function step({ cells: all, line }, places, names, read) {
  const cells = bare(all, names.length);
  if (cells.length === names.length) return places.map((place) => value(cells[place], line, read));
  const expected = `expected ${names.length} column${names.length > 1 ? "s" : ""} (${names.join(", ")})`;
  const commas = cells.length === 2 * names.length ? "; where commas are in the numbers, write ; between them" : "";
  throw new Error(`line ${line}: ${expected}, received ${cells.length}${commas}`);
}
