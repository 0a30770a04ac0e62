// Sequences as they were typed, pasted or dropped: CSV or JSON, one or several, or text.

import { readCsv } from "./csv.js";

/**
 * Reads what was given for a model.
 *
 * Returns {sequences, note}: a list of sequences, each [[feature, ...], ...] or a text; and what was taken for granted, or
 * null. Throws an Error that says what was expected, what was received, and where. Whether the values suit the model is the
 * server's to say.
 */
export function readGiven(text, manifest) {
  if (!text.trim()) throw new Error(`expected ${wanted(manifest)}, received nothing`);
  if (/^\s*[[{]/.test(text)) return { sequences: readJson(text, manifest), note: null };
  if (manifest.vocabulary !== null) return { sequences: text.split(/\r?\n/).filter((line) => line.trim()), note: null };
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
