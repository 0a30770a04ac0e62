// Sequences as they were typed, pasted or dropped: CSV or JSON, one or several, or text.

/**
 * Reads what was given for a model.
 *
 * Returns a list of sequences, each [[feature, ...], ...] or a text. Throws an Error that says what was expected, what
 * was received, and where. Whether the values suit the model is the server's to say.
 */
export function readGiven(text, manifest) {
  if (!text.trim()) throw new Error(`expected ${wanted(manifest)}, received nothing`);
  if (/^\s*[[{]/.test(text)) return readJson(text, manifest);
  if (manifest.vocabulary !== null) return text.split(/\r?\n/).filter((line) => line.trim());
  return readCsv(text, manifest.features);
}

/** What may be given, in a sentence. */
export function wanted({ features, vocabulary }) {
  if (vocabulary !== null) return "one text a line, or JSON";
  if (features.length === 1) return `CSV (a value a line, or a sequence a line) or JSON ([1, 2, …])`;
  const names = features.length > 4 ? `${features.slice(0, 3).join(", ")}, …` : features.join(", ");
  return `CSV (a line for each step; ${features.length} columns: ${names}) or JSON ([[1, 2, …], …])`;
}

function readJson(text, { features, vocabulary }) {
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`expected JSON, received something else: ${error.message}`);
  }
  if (!Array.isArray(content)) {
    if (!Array.isArray(content.sequences)) throw new Error('expected a list, or {"sequences": [...]}, received another object');
    return vocabulary === null ? content.sequences.map((sequence) => columns(sequence)) : content.sequences;
  }
  if (vocabulary !== null) return content;
  const depth = Array.isArray(content[0]) ? (Array.isArray(content[0][0]) ? 3 : 2) : 1;
  const several = depth === 3 || (depth === 2 && features.length === 1 && content[0].length > 1);
  return (several ? content : [content]).map((sequence) => columns(sequence));
}

/** [value, ...] of one feature as [[value], ...]. */
const columns = (sequence) => (Array.isArray(sequence) ? sequence.map((step) => (Array.isArray(step) ? step : [step])) : sequence);

function readCsv(text, features) {
  const lines = text.split(/\r?\n/);
  const separator = [";", "\t", ","].find((mark) => lines[0].includes(mark)) ?? ",";
  let rows = lines.map((line, index) => ({ cells: line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1")), line: index + 1 }));
  rows = rows.filter(({ cells }) => cells.some((cell) => cell !== ""));
  const names = rows[0].cells.some((cell) => cell !== "" && !isNumber(cell)) ? rows.shift().cells : null;
  if (rows.length === 0) throw new Error("expected lines of numbers below the names, received none");
  if (names === null && features.length === 1 && rows[0].cells.length > 1) {
    return rows.map(({ cells, line }) => cells.map((cell) => [read(cell, line)]));
  }
  const places = names === null ? features.map((_, index) => index) : placesOf(features, names);
  return [rows.map(({ cells, line }) => steps(cells, line, places, names, features))];
}

function placesOf(features, names) {
  const places = features.map((feature) => names.indexOf(feature));
  const missing = features.filter((_, index) => places[index] < 0);
  if (missing.length === 0) return places;
  if (names.length === features.length) return features.map((_, index) => index);
  throw new Error(`expected a column for each of ${features.join(", ")}, received ${names.join(", ")}: ${missing.join(", ")} is missing`);
}

function steps(cells, line, places, names, features) {
  const expected = names?.length ?? features.length;
  if (cells.length !== expected) {
    throw new Error(`line ${line}: expected ${expected} column${expected > 1 ? "s" : ""} (${(names ?? features).join(", ")}), received ${cells.length}`);
  }
  return places.map((place) => read(cells[place], line));
}

const isNumber = (cell) => cell !== "" && Number.isFinite(Number(cell));

function read(cell, line) {
  if (!isNumber(cell)) throw new Error(`line ${line}: expected a number, received ${JSON.stringify(cell)}`);
  return Number(cell);
}
