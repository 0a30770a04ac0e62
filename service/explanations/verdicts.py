"""What may be claimed of weights that were put to the test: a word, for one sequence or for many."""

import math

import numpy as np
from numpy.typing import NDArray

from service.explanations.faithfulness import DRAWS, EFFECT, SHARES, Measured, mean_defined
from service.explanations.measures import rank_correlation
from service.manifest import AnswerVerdict, Deletion, Faithfulness, Verdict

SHARE_OF_OCCLUSION = 0.5  # weights that find less of what occlusion finds are not called supported
UNIFORM = 0.05  # with no more of the weight to move until all are equal, the order of the steps is no claim
ERRORS = 2  # standard errors of a mean, or standard deviations of random orders, that are clearly more than chance


def summarize(measured: list[Measured], baseline: str) -> Faithfulness:
    """The means over many sequences, and the verdict they allow.

    Args:
        baseline: what a removed step held: `mean`, `sequence` or, of text, `unknown`.
    """

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in measured]))

    def curve(order: str) -> list[float]:
        means: list[float] = np.mean([getattr(one.without, order) for one in measured], axis=0).tolist()
        return means

    by_step = profiles(measured)
    return Faithfulness(
        samples=len(measured),
        comprehensiveness=mean("comprehensiveness"),
        occlusion_comprehensiveness=mean("occlusion_comprehensiveness"),
        random_comprehensiveness=mean("random_comprehensiveness"),
        sufficiency=mean("sufficiency"),
        random_sufficiency=mean("random_sufficiency"),
        rank_correlation=mean_defined([one.rank_correlation for one in measured]),
        profile_correlation=rank_correlation(*by_step) if by_step else None,
        deletion=Deletion(
            shares=list(SHARES), attention=curve("attention"), occlusion=curve("occlusion"), random=curve("random")
        ),
        baseline=baseline,
        draws=DRAWS,
        verdict=judge(measured),
    )


def profiles(measured: list[Measured]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Weights and importance by step, `(time,)` each, the means over sequences; None where their lengths differ."""
    if len({len(one.weights) for one in measured}) > 1:
        return None
    return np.mean([one.weights for one in measured], axis=0), np.mean([one.importance for one in measured], axis=0)


def judge(measured: list[Measured]) -> Verdict:
    """What may be claimed of the weights of a model, from the means over these sequences.

    Returns:
        `supported`: without the heaviest steps the prediction drops, by at least 0.05; that is more than without random
        ones, by at least 0.05 and two standard errors, and at least half as much more as occlusion does; and with the
        heaviest steps alone it drops no more than with random ones alone, but for 0.05. `weak`: it drops more than
        without random ones, but not all of that holds. `no better than random`: it does not, by two standard errors.
    """
    effects = np.array([one.comprehensiveness - one.random_comprehensiveness for one in measured])
    return _judge(measured, ERRORS * float(effects.std()) / math.sqrt(len(effects)), EFFECT)


def judge_one(measured: Measured, least: float = EFFECT) -> AnswerVerdict:
    """What may be claimed of the weights of one sequence.

    Args:
        least: what counts as a change, in its unit.

    Returns:
        `inconclusive`: there is a single step, or whatever was removed, the prediction hardly changed. (A model that
        has seen nothing unusual says the same of its baseline.) Otherwise as of many, with two standard deviations of
        random orders in the place of the standard errors: one order has to differ from chance by more than orders
        differ by chance. In a sequence of a few steps none does. Weights that are nearly all the same put steps in an
        order by very little, and are called weak at best.
    """
    if len(measured.weights) == 1 or measured.largest < least:
        return "inconclusive"
    verdict = _judge([measured], ERRORS * measured.without.random_std, least)
    return "weak" if verdict == "supported" and nearly_uniform(measured) else verdict


def nearly_uniform(measured: Measured) -> bool:
    """Whether the weights are too much alike for a verdict of `supported`."""
    return measured.distance <= UNIFORM


def contradicted(measured: list[Measured], least: float = EFFECT) -> bool:
    """Whether the heaviest steps alone keep less of the prediction than as many at random."""
    return float(np.mean([one.sufficiency - one.random_sufficiency for one in measured])) > least


def _judge(measured: list[Measured], clearly: float, least: float) -> Verdict:
    """Args: clearly: what is more than chance."""
    drop, random, occlusion = (
        float(np.mean([getattr(one, name) for one in measured]))
        for name in ("comprehensiveness", "random_comprehensiveness", "occlusion_comprehensiveness")
    )
    if drop - random <= max(0, clearly):
        return "no better than random"
    much = drop - random >= max(least, SHARE_OF_OCCLUSION * (occlusion - random))
    return "supported" if drop >= least and much and not contradicted(measured, least) else "weak"
