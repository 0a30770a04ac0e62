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
from service.manifest import Deletion, Faithfulness, Task, Verdict

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
DRAWS = 10
EFFECT = 0.05  # a smaller drop in probability is not worth a claim
SHARE_OF_OCCLUSION = 0.5  # weights that find less of what occlusion finds are not called supported

Run = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Drops:
    """How much the prediction drops at each of the five shares of the steps, by the order the steps are taken in.

    Attributes:
        attention: `(share,)`, the heaviest steps first.
        occlusion: `(share,)`, the steps first whose single removal changes most.
        random: `(share,)`, steps at random, the mean over draws.
    """

    attention: NDArray[np.float64]
    occlusion: NDArray[np.float64]
    random: NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One sequence put to the test.

    Attributes:
        weights: `(time,)`.
        importance: `(time,)`, size of the change when a step alone is removed.
        without: drops without the first steps of each order; large where they were the reason.
        alone: drops with the first steps of each order alone; small where they were the reason.
    """

    weights: FloatArray
    importance: NDArray[np.float64]
    without: Drops
    alone: Drops

    @property
    def comprehensiveness(self) -> float:
        """Drop without the heaviest steps, the mean over the shares."""
        return float(self.without.attention.mean())

    @property
    def sufficiency(self) -> float:
        """Drop with the heaviest steps alone, the mean over the shares."""
        return float(self.alone.attention.mean())

    @property
    def occlusion_comprehensiveness(self) -> float:
        """Drop without the steps whose single removal changes most."""
        return float(self.without.occlusion.mean())

    @property
    def random_comprehensiveness(self) -> float:
        """Drop without as many steps at random."""
        return float(self.without.random.mean())

    @property
    def random_sufficiency(self) -> float:
        """Drop with as many steps at random alone."""
        return float(self.alone.random.mean())

    @property
    def rank_correlation(self) -> float | None:
        """Of weights and importance; None where either is the same for all steps."""
        return rank_correlation(self.weights, self.importance)


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
        run: sequences `(batch, time, feature)` to predictions `(batch, 1 or classes or horizon)`.
        sequence: `(time, feature)`.
        weights: `(time,)`.
        baseline: `(feature,)`, what a removed step is replaced with: something that says least, such as a mean.
        unit: of a regression's or forecast's changes, the target's standard deviation.
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
    counts = [math.ceil(share * time) for share in SHARES]
    different = sorted(set(counts))  # of a short sequence, several shares are the same number of steps
    first = np.array([np.isin(np.arange(time), order[:count]) for order in orders for count in different])
    changes = drops(np.concatenate([first, ~first])).reshape(2, len(orders), len(different))
    without, alone = (
        Drops(attention=rows[0], occlusion=rows[1], random=rows[2:].mean(axis=0))
        for rows in changes[:, :, np.searchsorted(different, counts)]
    )
    return Measured(weights, importance, without, alone)


def summarize(measured: list[Measured]) -> Faithfulness:
    """The means over many sequences, and the verdict they allow."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in measured]))

    def curve(order: str) -> list[float]:
        means: list[float] = np.mean([getattr(one.without, order) for one in measured], axis=0).tolist()
        return means

    correlations = [one.rank_correlation for one in measured]
    defined = [correlation for correlation in correlations if correlation is not None]
    by_step = profiles(measured)
    return Faithfulness(
        samples=len(measured),
        comprehensiveness=mean("comprehensiveness"),
        occlusion_comprehensiveness=mean("occlusion_comprehensiveness"),
        random_comprehensiveness=mean("random_comprehensiveness"),
        sufficiency=mean("sufficiency"),
        random_sufficiency=mean("random_sufficiency"),
        rank_correlation=float(np.mean(defined)) if defined else None,
        profile_correlation=rank_correlation(*by_step) if by_step else None,
        deletion=Deletion(
            shares=list(SHARES), attention=curve("attention"), occlusion=curve("occlusion"), random=curve("random")
        ),
        verdict=judge(
            np.array([one.comprehensiveness - one.random_comprehensiveness for one in measured]),
            np.array([one.occlusion_comprehensiveness - one.random_comprehensiveness for one in measured]),
        ),
    )


def profiles(measured: list[Measured]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Weights and importance by step, `(time,)` each, the means over sequences; None where their lengths differ."""
    if len({len(one.weights) for one in measured}) > 1:
        return None
    return np.mean([one.weights for one in measured], axis=0), np.mean([one.importance for one in measured], axis=0)


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
    """`(batch,)`: the probability of the class predicted for the first; of values, minus the mean distance to its."""
    found = predictions.astype(np.float64)
    if task in {"regression", "forecast"}:
        distances: NDArray[np.float64] = np.abs(found - found[0]).mean(axis=1) / unit
        return -distances
    if task == "binary":
        found = np.concatenate([1 - found, found], axis=1)
    probability: NDArray[np.float64] = found[:, found[0].argmax()]
    return probability
