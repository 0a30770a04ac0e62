"""Whether weights can be believed: the model is run again with steps taken out, and the changes compared with weights.

Comprehensiveness is how much the prediction drops when the heaviest steps are removed, sufficiency how much when only
they are kept, each averaged over five shares of the steps (J. DeYoung et al., ERASER, 2020). Both are compared with
removing and keeping as many steps at random: weights that do no better than that explain nothing. And with occlusion:
the steps in order of what the removal of each one alone changes, which is what the model itself says matters. The rank
correlation is Spearman's, of the weights with those changes; where only a few steps matter, the order of all the others
is chance, and it is low even for weights that are right.

A test is a generator: it yields which steps to remove and is sent the predictions, so that it does not know how the
model is run. `measure` runs it right away, for training; the service sends what is to be run through its batcher.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import astuple, dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.explanations.measures import distance_from_uniform
from service.manifest import Deletion, Faithfulness, Task, Verdict

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
DRAWS = 10
FAST_DRAWS = 3
RUNS = 2 * (2 + DRAWS) * len(SHARES)  # of a test at most, beside those of each step alone
EFFECT = 0.05  # a smaller drop in probability is not worth a claim
SHARE_OF_OCCLUSION = 0.5  # weights that find less of what occlusion finds are not called supported
UNIFORM = 0.05  # with no more of the weight to move until all are equal, the order of the steps is no claim

Run = Callable[[FloatArray], FloatArray]
Removed = NDArray[np.bool_]
R = TypeVar("R")
# Yields which steps to remove, `(batch, time)`; is sent the predictions for the sequence without them,
# `(batch, 1 or classes or horizon)`.
Test = Generator[Removed, FloatArray, R]


@dataclass(frozen=True)
class Drops:
    """How much the prediction drops at each of the five shares of the steps, by the order the steps are taken in.

    Attributes:
        attention: `(share,)`, the heaviest steps first.
        occlusion: `(share,)`, the steps first whose single removal changes most.
        random: `(share,)`, steps at random, the mean over draws.
        random_std: standard deviation over the draws of a draw's mean over the shares.
    """

    attention: NDArray[np.float64]
    occlusion: NDArray[np.float64]
    random: NDArray[np.float64]
    random_std: float = 0.0


@dataclass(frozen=True)
class Measured:
    """One sequence put to the test.

    Attributes:
        weights: `(time,)`.
        importance: `(time,)`, size of the change when a step alone is removed.
        without: drops without the first steps of each order; large where they were the reason.
        alone: drops with the first steps of each order alone; small where they were the reason.
        width: steps that were removed together for `importance`, 1 but for long sequences.
    """

    weights: FloatArray
    importance: NDArray[np.float64]
    without: Drops
    alone: Drops
    width: int = 1

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
        """Of weights and importance; None where either is the same for all steps. Steps removed together are one."""
        starts = np.arange(0, len(self.weights), self.width)
        return rank_correlation(np.add.reduceat(self.weights, starts), self.importance[starts])


@dataclass(frozen=True)
class Fast:
    """The cheap part of the test of one sequence; see `Measured`."""

    comprehensiveness: float
    random_comprehensiveness: float
    sufficiency: float
    random_sufficiency: float


def measure(
    run: Run,
    sequence: FloatArray,
    weights: FloatArray,
    baseline: FloatArray | None,
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
        baseline: see `perturb`.
        unit: of a regression's or forecast's changes, the target's standard deviation.
        seed: of the random steps.
    """
    test = full_test(weights, task, unit=unit, seed=seed)
    removed = next(test)
    while True:
        try:
            removed = test.send(run(perturb(sequence, removed, baseline)))
        except StopIteration as end:
            measured: Measured = end.value
            return measured


def perturb(sequence: FloatArray, removed: Removed, baseline: FloatArray | None) -> FloatArray:
    """Copies of a sequence without some of its steps, `(batch, time, feature)`.

    Args:
        sequence: `(time, feature)`.
        removed: `(batch, time)`.
        baseline: `(feature,)`, what a removed step holds instead: something that says least, such as a mean. None: the
            last value before it that is not removed; where there is none, the first one after it.
    """
    if baseline is not None:
        return np.where(removed[:, :, None], baseline, sequence).astype(np.float32)
    last = np.maximum.accumulate(np.where(removed, -1, np.arange(len(sequence))), axis=1)
    kept: FloatArray = sequence[np.where(last < 0, removed.argmin(axis=1)[:, None], last)]
    return kept


def full_test(weights: FloatArray, task: Task, *, unit: float = 1.0, seed: int = 0, width: int = 1) -> Test[Measured]:
    """The test of one sequence, in two rounds: each step alone, then the first steps of each order.

    Args:
        weights: `(time,)`.
        unit: see `measure`.
        seed: of the random steps.
        width: see `Measured`.
    """
    importance = yield from occlusion_test(len(weights), task, unit=unit, width=width)
    orders = [np.argsort(-weights, kind="stable"), np.argsort(-importance, kind="stable")]
    each = yield from _shares(orders, task, unit, seed, DRAWS)
    without, alone = (
        Drops(rows[0], rows[1], rows[2:].mean(axis=0), float(rows[2:].mean(axis=1).std())) for rows in each
    )
    return Measured(weights, importance, without, alone, width)


def occlusion_test(time: int, task: Task, *, unit: float = 1.0, width: int = 1) -> Test[NDArray[np.float64]]:
    """Size of the change when each step alone is removed, `(time,)`; `width` neighbours together."""
    window = np.arange(time) // width
    changes = yield from _drops(np.arange(window[-1] + 1)[:, None] == window, task, unit)
    return np.abs(changes)[window]


def fast_test(weights: FloatArray, task: Task, *, unit: float = 1.0, seed: int = 0) -> Test[Fast]:
    """The cheap part of the test, in one round: without occlusion, and with few draws."""
    without, alone = yield from _shares([np.argsort(-weights, kind="stable")], task, unit, seed, FAST_DRAWS)
    return Fast(*(float(rows.mean()) for rows in (without[0], without[1:], alone[0], alone[1:])))


def mean(measured: Sequence[Measured]) -> Measured:
    """Of several outputs for the same sequence, at least one: the characters of an answer."""
    if len(measured) == 1:
        return measured[0]

    def drops(each: list[Drops]) -> Drops:
        attention, occlusion, random = (
            np.mean([getattr(one, order) for one in each], axis=0) for order in ("attention", "occlusion", "random")
        )
        return Drops(attention, occlusion, random, float(np.mean([one.random_std for one in each])))

    return Measured(
        np.mean([one.weights for one in measured], axis=0),
        np.mean([one.importance for one in measured], axis=0),
        drops([one.without for one in measured]),
        drops([one.alone for one in measured]),
        measured[0].width,
    )


def mean_fast(found: Sequence[Fast]) -> Fast:
    """See `mean`."""
    return Fast(*(float(value) for value in np.mean([astuple(one) for one in found], axis=0)))


def step_counts(time: int) -> list[int]:
    """How many steps each of the shares is, of a sequence of so many."""
    return [math.ceil(share * time) for share in SHARES]


def _shares(
    orders: list[NDArray[np.intp]], task: Task, unit: float, seed: int, draws: int
) -> Test[NDArray[np.float64]]:
    """Drops without the first steps of each order, and with them alone, `(2, order, share)`; behind the orders come as
    many at random as there are draws.
    """
    time = len(orders[0])
    random = np.random.default_rng(seed)
    orders = orders + [random.permutation(time) for _ in range(draws)]
    counts = step_counts(time)
    different = sorted(set(counts))  # of a short sequence, several shares are the same number of steps
    places = np.argsort(orders, axis=1)  # of each step in each order
    first = (places[:, None, :] < np.array(different)[:, None]).reshape(-1, time)
    changes = yield from _drops(np.concatenate([first, ~first]), task, unit)
    return changes.reshape(2, len(orders), len(different))[:, :, np.searchsorted(different, counts)]


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
    error = float(effects.std() / math.sqrt(len(effects)))
    return _judge(float(effects.mean()), error, float(occlusion.mean()), EFFECT)


def judge_one(measured: Measured, least: float = EFFECT) -> Verdict:
    """What may be claimed of one sequence: as of many, with the standard error of the random steps over their draws.
    Weights that are nearly all the same put steps in an order by very little, and are called weak at best.

    Args:
        least: what has to change more than at random, in the unit of the changes.
    """
    random = measured.random_comprehensiveness
    effect, occlusion = measured.comprehensiveness - random, measured.occlusion_comprehensiveness - random
    verdict = _judge(effect, measured.without.random_std / math.sqrt(DRAWS), occlusion, least)
    uniform = distance_from_uniform(measured.weights) <= UNIFORM
    return "weak" if uniform and verdict == "supported" else verdict


def _judge(effect: float, error: float, occlusion: float, least: float) -> Verdict:
    if effect <= max(0, 2 * error):
        return "no better than random"
    return "supported" if effect >= max(least, SHARE_OF_OCCLUSION * occlusion) else "weak"


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


def _drops(removed: Removed, task: Task, unit: float) -> Test[NDArray[np.float64]]:
    """How much the prediction drops without these steps, `(batch,)`."""
    predictions = yield np.concatenate([np.zeros_like(removed[:1]), removed])
    scores = _scores(predictions, task, unit)
    changes: NDArray[np.float64] = scores[0] - scores[1:]
    return changes


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
