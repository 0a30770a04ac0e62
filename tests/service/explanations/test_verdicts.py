import numpy as np
import pytest

from service.explanations.faithfulness import DRAWS, SHARES, Drops, Measured
from service.explanations.reasons import reason
from service.explanations.verdicts import judge, judge_one, profiles, summarize


def measured(
    attention=0.4,
    occlusion=0.4,
    random=0.1,
    alone=0.1,
    random_alone=0.3,
    *,
    occlusion_alone=0.2,
    std=0.0,
    weights=(0.6, 0.4),
    importance=(0.1, 0.2),
    rank=0.5,
    distance=0.1,
):
    """A sequence whose drops are the same at all shares."""

    def flat(*drops):
        draws = drops[-1] + std * np.array([-1, 1]) / 2**0.5
        return Drops(*(np.full(len(SHARES), drop) for drop in drops), draws)

    without, kept = flat(attention, occlusion, random), flat(alone, occlusion_alone, random_alone)
    return Measured(np.array(weights), np.array(importance), without, kept, rank, distance, 0.5)


NOTHING = {
    **dict.fromkeys(("attention", "occlusion", "random", "alone", "occlusion_alone", "random_alone"), 0.0),
    "importance": (0.0, 0.0),
}


@pytest.mark.parametrize(
    ("changes", "verdict", "because"),
    [
        ({}, "supported", "drops by 0.40, without random ones by 0.10, without those that change most by 0.40"),
        ({"occlusion": 0.71}, "weak", "by 0.10, but without those that change most by 0.71"),  # less than half of it
        ({"attention": 0.14, "occlusion": 0.14}, "weak", "which is little more"),
        ({"std": 0.151}, "no better than random", "which is not clearly more"),  # not by two standard deviations
        ({"std": 0.149}, "supported", ""),
        ({"attention": 0.1}, "no better than random", "which is not clearly more"),
        ({"distance": 0.05}, "weak", "but the weights are nearly all the same"),
        ({"distance": 0.051}, "supported", ""),
        # Nothing drops, but without random steps the prediction rises: that is no support.
        ({"attention": -0.06, "random": -0.34, "occlusion": -0.06}, "weak", "and hardly drops in all"),
        ({"alone": 0.36}, "weak", "but with the heaviest steps alone by 0.36, with random ones alone by 0.30"),
        ({"alone": 0.34}, "supported", ""),
        (
            {**NOTHING, "attention": 0.04, "occlusion": 0.04, "importance": (0.0, 0.04)},
            "inconclusive",
            "whatever was removed, the prediction hardly drops: with this baseline there is nothing to explain",
        ),
        ({**NOTHING, "importance": (0.1, 0.2)}, "no better than random", ""),  # one step alone matters
        # It stays without the heaviest steps, or any others, but not with the heaviest alone: they are not the reason.
        (
            {**NOTHING, "alone": 0.6},
            "no better than random",
            "drops by 0.00, without random ones by 0.00, which is not clearly more",
        ),
        ({"weights": (1.0,)}, "inconclusive", "there is a single step, and no other to compare it with"),
    ],
)
def test_the_verdict_on_one_sequence_and_its_reason(changes, verdict, because):
    found = measured(**changes)
    assert judge_one(found) == verdict
    assert reason(found, verdict).endswith(because)


def test_where_the_unit_of_the_changes_is_not_known_their_size_does_not_count():
    small = measured(0.0014, 0.0014, 0.0001, 0.0001, 0.0003, occlusion_alone=0.0001, importance=(0.0, 0.0001))
    assert judge_one(small) == "inconclusive"
    assert judge_one(small, least=0) == "supported"
    said = reason(small, "supported", of_values=True, has_unit=False)
    assert said.startswith("without the heaviest steps the prediction moves by 0.0014, without random ones by 0.0001")


def test_values_move_in_the_unit_of_their_target():
    said = reason(measured(), "supported", of_values=True)
    assert "the prediction moves by 0.40 standard deviations, without random ones by 0.10" in said


@pytest.mark.parametrize(
    ("effects", "changes", "verdict"),
    [
        ([0.3, 0.3, 0.3], {"occlusion": 0.69}, "supported"),
        ([0.3, 0.3, 0.3], {"occlusion": 0.71}, "weak"),  # finds less than half of what occlusion finds
        ([0.04, 0.04, 0.04], {"occlusion": 0.14}, "weak"),  # too little
        ([0.9, -0.8, 0.0], {}, "no better than random"),  # not by two standard errors
        ([0.0, 0.0, 0.0], {}, "no better than random"),
        ([-0.3, -0.3, -0.3], {}, "no better than random"),
        ([0.3, 0.3, 0.3], {"alone": 0.36}, "weak"),  # the heaviest steps alone keep less than random ones
        ([0.3, 0.3, 0.3], {"random": -0.3, "occlusion": 0.0}, "weak"),  # the prediction does not drop
    ],
)
def test_the_verdict_on_a_model(effects, changes, verdict):
    changes = {"random": 0.1, "occlusion": 0.4} | changes
    assert judge([measured(attention=changes["random"] + effect, **changes) for effect in effects]) == verdict


def test_a_summary_is_the_mean_over_sequences():
    constant = measured(0.4, rank=None)
    found = summarize([measured(0.3, rank=1.0), measured(0.5, rank=0.5), constant], "mean")
    assert found.samples == 3
    assert found.comprehensiveness == pytest.approx(0.4)
    assert found.random_sufficiency == pytest.approx(0.3)
    assert found.rank_correlation == pytest.approx(0.75)
    assert found.deletion.shares == list(SHARES)
    assert found.deletion.attention == pytest.approx([0.4] * 5)
    assert found.deletion.random == pytest.approx([0.1] * 5)
    assert (found.verdict, found.baseline, found.draws) == ("supported", "mean", DRAWS)


def test_profiles_are_compared_as_means_over_sequences_of_one_length():
    # mean weights 0.5, 0.3, 0.2 and mean importance 0.3, 0.2, 0.1: the same order, though not of each sequence
    same = [
        measured(weights=(0.9, 0.05, 0.05), importance=(0.1, 0.3, 0.1)),
        measured(weights=(0.1, 0.55, 0.35), importance=(0.5, 0.1, 0.1)),
    ]
    assert summarize(same, "mean").profile_correlation == pytest.approx(1)
    assert profiles([*same, measured()]) is None
    assert summarize([*same, measured()], "mean").profile_correlation is None
