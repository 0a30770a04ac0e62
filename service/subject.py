"""One sequence of an explanation, as its model is run on it again: what a removed step holds, and what is looked at."""

from dataclasses import dataclass

import numpy as np

from service.arrays import FloatArray
from service.errors import Conflict, Invalid
from service.explanations.charts.left_out import OWN_UNIT
from service.explanations.record import Explanation, steps
from service.inference import Found
from service.manifest import UNKNOWN, Manifest, Task
from service.models.loading import Model
from service.schemas.faithfulness import Baseline

BASELINE = "the query parameter baseline"
SAME = 1e-3  # relative and absolute difference of predictions that a batch, or another device, makes at most


@dataclass(frozen=True)
class Setup:
    """What a removed step holds, and what changes are counted in.

    Attributes:
        values: `(feature,)`, None for the last value that is kept; of text, the id of an unknown character.
        unit: of a regression's or forecast's changes; None where the model does not say.
        of_values: whether a value is predicted, which moves, and not a probability, which drops.
    """

    baseline: Baseline
    values: FloatArray | None
    unit: float | None
    of_values: bool = False

    @classmethod
    def of(cls, manifest: Manifest, sequence: FloatArray, baseline: Baseline | None) -> "Setup":
        """What a removed step of this sequence holds.

        Args:
            sequence: `(time, feature)`.
            baseline: None for what says least to the model.

        Raises:
            Invalid: the model does not say its training means; or text is to hold numbers, or numbers a character.
        """
        is_text = manifest.vocabulary is not None
        if baseline is not None and is_text != (baseline == "unknown"):
            expected = f"{'unknown' if is_text else 'mean, sequence, last or zero'}, because {manifest.name} reads "
            raise Invalid.at(BASELINE, expected + ("text" if is_text else "numbers"), baseline)
        if is_text:
            return cls("unknown", np.array([UNKNOWN], np.float32), 1.0)
        training = manifest.training
        means = training.feature_means if training else None
        baseline = baseline or ("sequence" if means is None else "mean")
        of_values = manifest.task in ("regression", "forecast")
        unit = 1.0 if not of_values else training.target_std if training else None
        if baseline == "last":
            return cls(baseline, None, unit, of_values)
        if baseline == "mean":
            if means is None:
                expected = f"sequence, last or zero, because {manifest.name} declares no training means"
                raise Invalid.at(BASELINE, expected, "mean")
            return cls(baseline, np.array(means, np.float32), unit, of_values)
        values = sequence.mean(axis=0) if baseline == "sequence" else np.zeros(sequence.shape[1], np.float32)
        return cls(baseline, values, unit, of_values)

    def unit_in_words(self, explanation: Explanation, index: int) -> str:
        """What drops and changes of this sequence are counted in."""
        if explanation.answers is not None:
            return "share of the answer's characters that stay, at their places"
        if explanation.labels is not None:
            return f"probability of {explanation.labels[index]}"
        return OWN_UNIT if self.unit is None else "standard deviations of the training target"


@dataclass(frozen=True)
class Subject:
    """What is run again.

    Attributes:
        values: `(time, feature)`; of text, its ids `(time, 1)`.
        weights: as they were answered; None of a model without attention.
        predicted: `(output,)`, what was answered.
        seed: of the random steps of its tests: its own, so that no step has luck in the tests of all sequences.
        written: the answer, of text; None of other models.
        beam: how wide the search for it was.
    """

    model: Model
    values: FloatArray
    weights: FloatArray | None
    predicted: FloatArray
    setup: Setup
    seed: int
    written: str | None
    beam: int | None

    @classmethod
    def of(cls, model: Model, explanation: Explanation, index: int, baseline: Baseline | None) -> "Subject":
        """A sequence of an explanation.

        Raises:
            Invalid: its inputs are not kept, nothing was answered, or see `Setup.of`.
        """
        hash = explanation.hash(index)
        if hash is None:
            raise untestable("its sequences", "one whose sequences were not kept")
        written = None if explanation.answers is None else explanation.answers[index]
        if written == "":
            raise untestable("an answer", "one whose answer is empty")
        if model.codec is not None and explanation.texts is not None:
            values = model.codec.encode(explanation.texts[index]).astype(np.float32)[:, None]
        else:
            values = (explanation.sequences or [])[index]
        return cls(
            model,
            values,
            None if explanation.attention is None else explanation.attention[index],
            explanation.predictions[index],
            Setup.of(model.manifest, values, baseline),
            int(hash[:8], 16),
            written,
            None if explanation.beams is None else explanation.beams[index],
        )

    @property
    def task(self) -> Task:
        """As which its predictions are tested."""
        return self.model.manifest.task

    @property
    def unit(self) -> float:
        """What changes are divided by."""
        return self.setup.unit or 1.0

    def characters(self, most: int) -> list[int]:
        """Places in the answer, of text, evenly apart."""
        count = len(self.written or "")
        places: list[int] = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
        return places

    def weights_of(self, places: list[int]) -> list[FloatArray]:
        """Weights `(time,)`: of text, of each of these characters of the answer."""
        if self.weights is None:
            return []
        return [steps(self.weights)] if self.written is None else [self.weights[place] for place in places]

    def score(self, found: Found, places: list[int]) -> FloatArray:
        """What the tests are told of predictions, `(batch, output)`. Of text: whether each of these characters is still
        written at its place, `(batch, place)`; without places, the share of all that are, `(batch, 1)`.
        """
        if found.answers is None:
            return found.predictions
        written = self.written or ""
        if places:
            rows = [
                [float(answer[place : place + 1] == written[place]) for place in places] for answer in found.answers
            ]
        else:
            rows = [[sum(map(str.__eq__, one, written)) / max(len(written), len(one))] for one in found.answers]
        return np.array(rows, np.float32)

    def check(self, found: Found) -> None:
        """Holds the model's first prediction, for the sequence as it is, against the one that was answered.

        Raises:
            Conflict: they differ: its weights are not this model's.
        """
        if found.answers is not None:
            same = found.answers[0] == self.written
        else:
            same = np.allclose(found.predictions[0], self.predicted, SAME, SAME)
        if not same:
            manifest = self.model.manifest
            raise Conflict(
                f"expected {manifest.name} {manifest.version} to predict what it predicted when this explanation was "
                "kept, received another prediction: its files have been replaced, and the weights are not theirs"
            )


def untestable(expected: str, received: str) -> Invalid:
    """An explanation that cannot be put to the test."""
    return Invalid.at("the path parameter id", f"an explanation that has {expected}", received)
