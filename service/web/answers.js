// Answers and explanations in one form, whichever route they came by.

/** Sequence i of an answer to POST /predict: {prediction, label, probability, unknown, attention (time), perFeature}. */
export function fromPredict(answer, i) {
  const weights = answer.attention?.[i] ?? null;
  const perFeature = answer.probabilities === undefined && Array.isArray(weights?.[0]) ? weights : null;
  return {
    prediction: answer.predictions[i],
    label: answer.labels?.[i] ?? null,
    probability: answer.probabilities?.[i] ?? null,
    unknown: answer.unknown?.[i] ?? null,
    attention: perFeature ? perFeature.map((row) => row.reduce((sum, weight) => sum + weight, 0) / row.length) : weights,
    perFeature,
  };
}

/** Likewise, of a sequence of GET /attention/{id}. */
export const fromStored = ({ prediction, label, probability, unknown, attention, attention_per_feature: perFeature }) =>
  ({ prediction, label, probability, unknown, attention, perFeature: perFeature ?? null });

/** What a kept explanation says of a model that is not served any more. */
export function manifestOf({ model, version, task, features, classes, attention_axes: axes }) {
  const attention = axes && { kind: "unknown", position: "unknown", axes };
  const unknown = { description: "", examples: [], training: null, quality: null, faithfulness: null };
  return { ...unknown, name: model, version, task, features, labels: classes, attention, vocabulary: task === "sequence" ? {} : null };
}

/** The mean of each feature over the steps. */
export const meanOf = (rows) => rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
