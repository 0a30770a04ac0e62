"""Whether weights can be believed: the model is run again with steps taken out, and the changes compared with weights.

Comprehensiveness is how much the prediction drops when the heaviest steps are removed, sufficiency how much when only
they are kept, each averaged over five shares of the steps (J. DeYoung et al., ERASER, 2020). Both are compared with
removing and keeping as many steps at random: weights that do no better than that explain nothing. And with occlusion:
the steps in order of what the removal of each one alone changes, which is what the model itself says matters. The rank
correlation is Spearman's, of the weights with those changes; where only a few steps matter, the order of all the others
is chance, and it is low even for weights that are right.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.manifest import Faithfulness, Task, Verdict

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
DRAWS = 10
EFFECT = 0.05  # a smaller drop in probability is not worth a claim
SHARE_OF_OCCLUSION = 0.5  # weights that find less of what occlusion finds are not called supported

Run = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Measured:
    """One sequence put to the test.

    Attributes:
        comprehensiveness: drop without the heaviest steps; large where they were the reason.
        sufficiency: drop with the heaviest steps alone; small where they were the reason.
        occlusion_comprehensiveness: drop without the steps whose single removal changes most.
        random_comprehensiveness: the same for steps at random, the mean over draws.
        random_sufficiency: likewise.
        importance: `(time,)`, size of the change when a step alone is removed.
        rank_correlation: of weights and importance; None where either is the same for all steps.
    """

    comprehensiveness: float
    sufficiency: float
    occlusion_comprehensiveness: float
    random_comprehensiveness: float
    random_sufficiency: float
    importance: NDArray[np.float64]
    rank_correlation: float | None


def measure(
    run: Run,
    sequence: FloatArray,
    weights: FloatArray,
    baseline: FloatArray,
    task: Task,
    *,
    unit: float = 1.0,
    seed: int = 0,
) -> Measured:
    """Puts the weights of one sequence to the test, in two runs of the model over perturbed copies of it.

    Args:
        run: sequences `(batch, time, feature)` to predictions `(batch, 1 or classes)`.
        sequence: `(time, feature)`.
        weights: `(time,)`.
        baseline: `(feature,)`, what a removed step is replaced with; the training mean says least.
        unit: of a regression's changes, the target's standard deviation.
        seed: of the random steps.
    """
    time = len(sequence)

    def drops(removed: NDArray[np.bool_]) -> NDArray[np.float64]:
        perturbed = np.where(removed[:, :, None], baseline, sequence).astype(np.float32)
        scores = _scores(run(np.concatenate([sequence[None], perturbed])), task, unit)
        changes: NDArray[np.float64] = scores[0] - scores[1:]
        return changes

    importance = np.abs(drops(np.eye(time, dtype=bool)))
    random = np.random.default_rng(seed)
    orders = [np.argsort(-weights, kind="stable"), np.argsort(-importance, kind="stable")]
    orders += [random.permutation(time) for _ in range(DRAWS)]
    counts = sorted({math.ceil(share * time) for share in SHARES})
    heaviest = np.array([np.isin(np.arange(time), order[:count]) for order in orders for count in counts])
    without, alone = drops(np.concatenate([heaviest, ~heaviest])).reshape(2, len(orders), len(counts)).mean(axis=2)
    return Measured(
        comprehensiveness=float(without[0]),
        sufficiency=float(alone[0]),
        occlusion_comprehensiveness=float(without[1]),
        random_comprehensiveness=float(without[2:].mean()),
        random_sufficiency=float(alone[2:].mean()),
        importance=importance,
        rank_correlation=rank_correlation(weights, importance),
    )


def summarize(measured: list[Measured]) -> Faithfulness:
    """The means over many sequences, and the verdict they allow."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in measured]))

    correlations = [one.rank_correlation for one in measured if one.rank_correlation is not None]
    return Faithfulness(
        samples=len(measured),
        comprehensiveness=mean("comprehensiveness"),
        occlusion_comprehensiveness=mean("occlusion_comprehensiveness"),
        random_comprehensiveness=mean("random_comprehensiveness"),
        sufficiency=mean("sufficiency"),
        random_sufficiency=mean("random_sufficiency"),
        rank_correlation=float(np.mean(correlations)) if correlations else None,
        verdict=judge(
            np.array([one.comprehensiveness - one.random_comprehensiveness for one in measured]),
            np.array([one.occlusion_comprehensiveness - one.random_comprehensiveness for one in measured]),
        ),
    )


def judge(effects: NDArray[np.float64], occlusion: NDArray[np.float64]) -> Verdict:
    """What may be claimed.

    Args:
        effects: `(sequence,)`, how much more the prediction dropped without the heaviest steps than without random
            ones.
        occlusion: `(sequence,)`, the same for the steps in the order of occlusion.

    Returns:
        `supported`: removing the heaviest steps changes more than removing random ones, by at least 0.05 and two
        standard errors, and at least half as much more as occlusion does. `weak`: it changes more, but not by as much.
        `no better than random`: it does not change more, by two standard errors.
    """
    mean, error = float(effects.mean()), float(effects.std() / math.sqrt(len(effects)))
    if mean <= max(0, 2 * error):
        return "no better than random"
    return "supported" if mean >= max(EFFECT, SHARE_OF_OCCLUSION * float(occlusion.mean())) else "weak"


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None where either is constant. Both `(n,)`."""
    ranks = [_ranks(values) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    first, second = (rank - rank.mean() for rank in ranks)
    return float((first @ second) / math.sqrt((first @ first) * (second @ second)))


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _scores(predictions: FloatArray, task: Task, unit: float) -> NDArray[np.float64]:
    """`(batch,)`: the probability of the class predicted for the first; for regression, minus the distance to it."""
    found = predictions.astype(np.float64)
    if task == "regression":
        distances: NDArray[np.float64] = np.abs(found[:, 0] - found[0, 0]) / unit
        return -distances
    if task == "binary":
        found = np.concatenate([1 - found, found], axis=1)
    probability: NDArray[np.float64] = found[:, found[0].argmax()]
    return probability
