"""Whether weights can be believed: the model is run again with steps taken out, and the changes compared with weights.

Comprehensiveness is how much the prediction drops when the heaviest steps are removed, sufficiency how much when only
they are kept, each averaged over five shares of the steps (J. DeYoung et al., ERASER, 2020). Both are compared with
removing and keeping as many steps at random: weights that do no better than that explain nothing. And with occlusion:
the steps in order of how far the prediction drops without each one alone, which is what the model itself says matters.
The rank correlation is Spearman's, of the weights with the size of those changes; where only a few steps matter, the
order of all the others is chance, and it is low even for weights that are right. `verdicts.py` says what may be
claimed.

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
from service.explanations.measures import classes_of, concentration, distance_from_uniform, rank_correlation
from service.manifest import Task

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
DRAWS = 10
FAST_DRAWS = 3
EFFECT = 0.05  # a smaller change of a probability is not worth a claim

Run = Callable[[FloatArray], FloatArray]
Removed = NDArray[np.bool_]
R = TypeVar("R")
# Yields which steps to remove, `(batch, time)`; is sent the predictions for the sequence without them,
# `(batch, 1 or classes or horizon)`. Of the task `sequence`, of text, a prediction is how much of the answer stays.
Test = Generator[Removed, FloatArray, R]


@dataclass(frozen=True)
class Drops:
    """How much the prediction drops at each of the five shares of the steps, by the order the steps are taken in.

    Attributes:
        attention: `(share,)`, the heaviest steps first.
        occlusion: `(share,)`, the steps first whose single removal changes most.
        random: `(share,)`, steps at random, the mean over draws.
        draws: `(draw,)`, of each random order the mean over the shares.
    """

    attention: NDArray[np.float64]
    occlusion: NDArray[np.float64]
    random: NDArray[np.float64]
    draws: NDArray[np.float64]

    @property
    def random_std(self) -> float:
        """How far random orders are apart, a standard deviation."""
        return float(self.draws.std(ddof=1))


@dataclass(frozen=True)
class Measured:
    """One sequence put to the test.

    Attributes:
        weights: `(time,)`.
        importance: `(time,)`, size of the change when a step alone is removed.
        without: drops without the first steps of each order; large where they were the reason.
        alone: drops with the first steps of each order alone; small where they were the reason.
        rank_correlation: of weights and importance; None where either is the same for all steps. Steps removed together
            are one.
        distance: of the weights from uniform, see `measures.distance_from_uniform`.
        concentration: of the weights, see `measures.concentration`.
        width: steps that were removed together for `importance`, 1 but for long sequences.
    """

    weights: FloatArray
    importance: NDArray[np.float64]
    without: Drops
    alone: Drops
    rank_correlation: float | None
    distance: float
    concentration: float | None
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
    def largest(self) -> float:
        """The largest change of all that was tried, in either direction."""
        drops = [
            order for each in (self.without, self.alone) for order in (each.attention, each.occlusion, each.random)
        ]
        return float(np.abs(np.concatenate([self.importance, *drops])).max())


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
    dropped = yield from _left_out(len(weights), task, unit, width)
    importance = np.abs(dropped)
    orders = [np.argsort(-weights, kind="stable"), np.argsort(-dropped, kind="stable")]
    each = yield from _shares(orders, task, unit, seed, DRAWS)
    without, alone = (Drops(rows[0], rows[1], rows[2:].mean(axis=0), rows[2:].mean(axis=1)) for rows in each)
    starts = np.arange(0, len(weights), width)
    return Measured(
        weights,
        importance,
        without,
        alone,
        rank_correlation(np.add.reduceat(weights, starts), importance[starts]),
        distance_from_uniform(weights),
        concentration(weights),
        width,
    )


def together(tests: Sequence[Test[R]]) -> Test[list[R]]:
    """Several tests of one sequence at once, each of another output; what more than one asks for is run once.

    It yields as they do, the sequence as it is first, and is sent predictions `(batch, test)`: a column for each.
    """
    asked, found = [next(test) for test in tests], list[R]()
    while not found:
        removed, places = np.unique(np.concatenate(asked), axis=0, return_inverse=True)
        predictions = yield removed
        rows = np.split(places.ravel(), np.cumsum([len(one) for one in asked])[:-1])
        asked = []
        for column, (test, own) in enumerate(zip(tests, rows, strict=True)):
            try:
                asked.append(test.send(predictions[own, column : column + 1]))
            except StopIteration as end:
                found.append(end.value)
    return found


def occlusion_test(time: int, task: Task, *, unit: float = 1.0, width: int = 1) -> Test[NDArray[np.float64]]:
    """Size of the change when each step alone is removed, `(time,)`; `width` neighbours together."""
    return np.abs((yield from _left_out(time, task, unit, width)))


def fast_test(weights: FloatArray, task: Task, *, unit: float = 1.0, seed: int = 0) -> Test[Fast]:
    """The cheap part of the test, in one round: without occlusion, and with few draws."""
    without, alone = yield from _shares([np.argsort(-weights, kind="stable")], task, unit, seed, FAST_DRAWS)
    return Fast(*(float(rows.mean()) for rows in (without[0], without[1:], alone[0], alone[1:])))


def mean(measured: Sequence[Measured]) -> Measured:
    """Of several outputs for the same sequence, at least one: the characters of an answer."""
    if len(measured) == 1:
        return measured[0]

    def drops(each: list[Drops]) -> Drops:
        names = ("attention", "occlusion", "random", "draws")  # the random orders are the same for all outputs
        return Drops(*(np.mean([getattr(one, name) for one in each], axis=0) for name in names))

    return Measured(
        np.mean([one.weights for one in measured], axis=0),
        np.mean([one.importance for one in measured], axis=0),
        drops([one.without for one in measured]),
        drops([one.alone for one in measured]),
        mean_defined([one.rank_correlation for one in measured]),
        float(np.mean([one.distance for one in measured])),
        mean_defined([one.concentration for one in measured]),
        measured[0].width,
    )


def mean_defined(values: Sequence[float | None]) -> float | None:
    """The mean of those that are not None; None where all are."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def mean_fast(found: Sequence[Fast]) -> Fast:
    """See `mean`."""
    return Fast(*(float(value) for value in np.mean([astuple(one) for one in found], axis=0)))


def runs(tests: int) -> int:
    """Of so many tests together, at most, beside those of each step alone."""
    return 2 * len(SHARES) * (DRAWS + 2 * tests)


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
    orders = orders + random_orders(time, draws, seed)
    counts = step_counts(time)
    different = sorted(set(counts))  # of a short sequence, several shares are the same number of steps
    places = np.argsort(orders, axis=1)  # of each step in each order
    first = (places[:, None, :] < np.array(different)[:, None]).reshape(-1, time)
    changes = yield from _drops(np.concatenate([first, ~first]), task, unit)
    return changes.reshape(2, len(orders), len(different))[:, :, np.searchsorted(different, counts)]


def random_orders(time: int, draws: int, seed: int) -> list[NDArray[np.intp]]:
    """Orders of the steps, `(time,)` each: one at random, and the same begun at other places, evenly apart.

    So each step comes early in as many of them as any other. In a few orders that have nothing to do with each other,
    some steps would be first again and again and others never, and their mean would speak of those.
    """
    order = np.random.default_rng(seed).permutation(time)
    return [np.roll(order, draw * time // draws) for draw in range(draws)]


def _left_out(time: int, task: Task, unit: float, width: int) -> Test[NDArray[np.float64]]:
    """How much the prediction drops without each step alone, `(time,)`; `width` neighbours together."""
    window = np.arange(time) // width
    drops = yield from _drops(np.arange(window[-1] + 1)[:, None] == window, task, unit)
    return drops[window]


def _drops(removed: Removed, task: Task, unit: float) -> Test[NDArray[np.float64]]:
    """How much the prediction drops without these steps, `(batch,)`."""
    predictions = yield np.concatenate([np.zeros_like(removed[:1]), removed])
    scores = _scores(predictions, task, unit)
    changes: NDArray[np.float64] = scores[0] - scores[1:]
    return changes


def _scores(predictions: FloatArray, task: Task, unit: float) -> NDArray[np.float64]:
    """`(batch,)`: the probability of the class predicted for the first; of values, minus the mean distance to its; of
    text, the prediction itself.
    """
    found = predictions.astype(np.float64)
    if task in {"regression", "forecast"}:
        distances: NDArray[np.float64] = np.abs(found - found[0]).mean(axis=1) / unit
        return -distances
    predicted = int(classes_of(predictions[:1], task)[0])
    if task == "binary":
        return found[:, 0] if predicted == 1 else 1 - found[:, 0]
    probability: NDArray[np.float64] = found[:, predicted]
    return probability
