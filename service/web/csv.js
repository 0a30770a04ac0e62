// Numbers in columns, as spreadsheets and loggers write them.

const MANY = 4; // columns that are counted from 1 in the first line: it is names, rather than values
const NOT_READ = ["target", "split"]; // of tables that models are trained on
const DATE = /^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Reads lines of numbers for these features: a line for each step; of one feature also a line for each sequence.
 *
 * A column `id` says which steps are of one sequence, and `time` how these follow each other, as in `service.client` and
 * `python -m service score`.
 *
 * Returns {sequences, note}: [[[feature, ...], ...], ...]; and what was taken for granted, or null. Throws an Error that says
 * what was expected, what was received, and in which line.
 */
export function readCsv(text, features) {
  const table = tableOf(text);
  if (features.length === 1) refuseDecimalCommas(table);
  const found = isWide(table, features) ? readWide(table, features) : readLong(table, features);
  return { sequences: found.sequences, note: [...table.notes, ...found.notes].join(" ") || null };
}

/**
 * {doubtful, names, notes, read, rows, separator}; names: of the columns, or null; rows: {cells, line}, those below the names;
 * doubtful: those in which no names in words say how many columns there are; read: a cell as a number, or null.
 */
function tableOf(text) {
  const filled = text.split(/\r?\n/).map((content, index) => ({ content, line: index + 1 })).filter(({ content }) => content.trim());
  const separator = separatorOf(filled);
  const read = reader(separator);
  const rows = filled.map(({ content, line }) => ({ cells: cellsOf(content, separator), line })).filter(({ cells }) => cells.some((cell) => cell !== ""));
  if (rows.length === 0) throw new Error("expected lines of numbers, received none");
  const { names, notes } = namesOf(bare(rows[0].cells, 1), rows.length, read);
  const isText = names !== null && notes.length === 0;
  const doubtful = isText ? (names.length === 1 ? rows.slice(1) : []) : [...rows];
  if (names) rows.shift();
  if (rows.length === 0) throw new Error("expected lines of numbers below the names, received none");
  if (names?.[0] !== "") return { doubtful, names, notes, read, rows, separator };
  const rest = rows.map(({ cells, line }) => ({ cells: cells.slice(1), line })); // pandas writes the index of a row before it
  return { doubtful, names: names.slice(1), notes, read, rows: rest, separator };
}

/**
 * {names, notes}: the first line, where it is names, or null. They may be numbers: where columns have none, pandas counts them
 * from 0, others from 1. A few from 1 are values, where nothing else is in the line: 1, 2.
 */
function namesOf(first, lines, read) {
  const numbers = first.map(read).filter((number) => number !== null);
  if (numbers.length === 0) return { names: first, notes: [] };
  const [start] = numbers;
  const counts = lines > 1 && numbers.length > 1 && [0, 1].includes(start) && numbers.every((number, index) => number === start + index);
  if (!counts) return { names: null, notes: [] };
  const names = start === 0 || numbers.length < first.length || numbers.length >= MANY ? first : null;
  return { names, notes: [`The first line, ${ends(first.filter(Boolean))}, was taken for ${names ? "the names of the columns" : "values"}.`] };
}

/** Whether a line is a sequence of the one feature. */
function isWide({ names, rows }, features) {
  if (features.length > 1) return false;
  if (names === null) return rows.some(({ cells }) => bare(cells, 1).length > 1);
  return stepsOf(names).length > 1 && ![features[0].toLowerCase(), "time"].some((name) => lower(names).includes(name));
}

/** Where a line that is a sequence has its steps. */
const stepsOf = (names) => [...names.keys()].filter((place) => !["id", ...NOT_READ].includes(lower(names)[place]));

function readWide({ names, read, rows }, [feature]) {
  const places = names && stepsOf(names);
  const sequences = rows.map(({ cells, line }) => {
    const { length } = bare(cells, 1);
    if (names && length > names.length) throw new Error(`line ${line}: ${wanted(names)}, received ${length}`);
    return bare(places ? places.map((place) => cells[place] ?? "") : cells, 1).map((cell) => [value(cell, line, read)]);
  });
  if (names === null) return { sequences, notes: [] };
  const others = names.filter((_, place) => !places.includes(place) && lower(names)[place] !== "id");
  const taken = `No column is called ${feature}: each line was taken for a sequence, its steps ${ends(places.map((place) => names[place]))}.`;
  return { sequences, notes: [taken, ...unused(others)] };
}

function readLong({ names, read, rows }, features) {
  const { places, notes } = placesOf(features, names);
  const left = (name) => lower(names ?? []).findIndex((other, place) => other === name && !places.includes(place));
  const id = left("id"), time = id < 0 ? -1 : left("time");
  const others = (names ?? []).filter((name, place) => name && ![...places, id, time].includes(place));
  const steps = rows.map((row) => ({ ...row, values: step(row, places, names ?? features, read) }));
  const sequences = id < 0 ? [steps] : sequencesOf(steps, id, time, read);
  return { sequences: sequences.map((one) => one.map(({ values }) => values)), notes: [...notes, ...unused(others)] };
}

/** Steps by their ids, in the order in which these come first; each sequence in the order of its times, if there are any. */
function sequencesOf(steps, id, time, read) {
  const none = steps.find(({ cells }) => cells[id] === "");
  if (none) throw new Error(`line ${none.line}: expected an id, received ""`);
  const timed = time < 0 ? steps : inOrder(steps, time, read);
  const ids = new Map(steps.map(({ cells }) => [cells[id], []]));
  for (const step of timed) ids.get(step.cells[id]).push(step);
  return [...ids.values()];
}

/** Steps by their times, which are numbers or dates. */
function inOrder(steps, time, read) {
  const numbers = steps.every(({ cells }) => read(cells[time]) !== null);
  const moment = ({ cells, line }) => {
    const found = numbers ? read(cells[time]) : DATE.test(cells[time]) ? Date.parse(cells[time].replace(" ", "T")) : NaN;
    if (Number.isNaN(found)) throw new Error(`line ${line}: expected a time, as 7 or 2026-01-31 or 2026-01-31T12:00, all alike, received ${JSON.stringify(cells[time])}`);
    return found;
  };
  return steps.map((step) => [moment(step), step]).sort(([a], [b]) => a - b).map(([, step]) => step);
}

const lower = (names) => names.map((name) => name.toLowerCase());
const unused = (names) => (names.length ? [`${names.join(", ")} ${names.length > 1 ? "were" : "was"} not used.`] : []);
const ends = (names) => (names.length > 4 ? `${names[0]}, ${names[1]}, …, ${names.at(-1)}` : names.join(", "));

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
function refuseDecimalCommas({ doubtful, separator }) {
  const rows = doubtful.map(({ cells, line }) => ({ cells: bare(cells, 1), line }));
  const whole = rows.every(({ cells }) => cells.length <= 2 && cells.every((cell) => /^[+-]?\d+$/.test(cell)));
  const two = rows.find(({ cells }) => cells.length === 2);
  if (separator !== "," || !whole || !two) return;
  const [first, second] = two.cells;
  throw new Error(`line ${two.line}: expected a number or several, received ${first},${second}, which may be either: write ${first}.${second} for one, or ${first};${second} for two`);
}

/** {places, notes}: in which column each feature stands; names: of the columns, or null. */
function placesOf(features, names) {
  const known = lower(names ?? features);
  const places = features.map((feature) => known.indexOf(feature.toLowerCase()));
  const missing = features.filter((_, index) => places[index] < 0);
  if (missing.length === 0) return { places, notes: [] };
  const free = [...known.keys()].filter((place) => !["id", "time", ...NOT_READ].includes(known[place]));
  const taken = [[...known.keys()], free].find((some) => some.length === features.length);
  if (missing.length < features.length || !taken) {
    throw new Error(`expected a column for each of ${features.join(", ")}, received ${names.join(", ")}: ${missing.join(", ")} is missing`);
  }
  const called = taken.map((place) => names[place]).join(", ");
  return { places: taken, notes: [`None of the columns is called as a feature is: ${called} were taken for ${features.join(", ")}, in this order.`] };
}

function step({ cells: all, line }, places, names, read) {
  const cells = bare(all, names.length);
  if (cells.length === names.length) return places.map((place) => value(cells[place], line, read));
  const commas = cells.length === 2 * names.length ? "; where commas are in the numbers, write ; between them" : "";
  throw new Error(`line ${line}: ${wanted(names)}, received ${cells.length}${commas}`);
}

const wanted = (names) => `expected ${names.length} column${names.length > 1 ? "s" : ""} (${names.join(", ")})`;
