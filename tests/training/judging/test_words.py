import pytest

from service.manifest import Baseline, Faithfulness, Interval, Manifest, Quality, Twin
from tests.serving import ROOT
from training.card import card
from training.judging import words

OVER_SEEDS, OVER_SAMPLES = "Student's t over seeds", "Wilson over test sequences"


def quality(metric="accuracy", effect="no clear difference", seeds=2, baseline=0.5):
    values = dict(enumerate([0.9, 0.8][:seeds]))
    mean = sum(values.values()) / seeds
    method = OVER_SEEDS if seeds > 1 else OVER_SAMPLES
    interval = Interval(low=mean - 0.1, high=mean + 0.1, method=method)
    difference = Interval(low=-0.01, high=0.12, method=method)
    return Quality(
        metric=metric,
        samples=100,
        published=0.9,
        seeds=values,
        mean=mean,
        spread=0.05 if seeds > 1 else 0,
        interval=interval,
        baseline=Baseline(name="some answer", value=baseline),
        twin=Twin(seeds=values, mean=0.8, spread=0.01, interval=interval, difference=difference, effect=effect),
        calibration_error=0.0234,
    )


def faithfulness(verdict, **changes):
    values = {"samples": 9, "comprehensiveness": 0.3, "occlusion_comprehensiveness": 0.4, "sufficiency": 0.1}
    values |= {"random_comprehensiveness": 0.05, "random_sufficiency": 0.2, "rank_correlation": 0.7}
    return Faithfulness(**{**values, **changes}, verdict=verdict)


def test_the_interval_is_said_with_how_it_was_made():
    assert words.over_seeds(quality()) == (
        "Over 2 trainings that differ in the seed alone: mean 0.8500, standard deviation 0.0500 (0.9000, 0.8000); 95 % "
        "interval 0.7500 to 0.9500 (Student's t over seeds). The one published had the lowest validation loss."
    )
    assert words.over_seeds(quality(seeds=1)) == (
        "95 % interval 0.8000 to 1.0000 (Wilson over test sequences); of one training."
    )


@pytest.mark.parametrize(
    ("metric", "effect", "sentence"),
    [
        ("accuracy", "gains", "Attention gains accuracy here: "),
        ("accuracy", "costs", "Attention costs accuracy here: "),
        ("accuracy", "no clear difference", "Attention neither clearly gains nor clearly costs accuracy here: "),
        ("rmse", "gains", "Attention lowers the error here: "),
        ("rmse", "costs", "Attention raises the error here: "),
        ("rmse", "no clear difference", "Attention neither clearly lowers nor clearly raises the error here: "),
    ],
)
def test_what_attention_does_to_the_quality_is_said_in_its_own_words(metric, effect, sentence):
    said = words.beside_twin(quality(metric, effect))
    assert sentence in said
    assert "the difference is 0.05" in said


def test_a_model_that_is_no_better_than_no_model_is_told():
    assert words.beside_baseline(quality()) == "Without a model (some answer): 0.5000."
    worse = "This model does no better than that."
    assert worse in words.beside_baseline(quality(baseline=0.86))
    assert worse not in words.beside_baseline(quality("rmse", baseline=0.9))
    assert worse in words.beside_baseline(quality("rmse", baseline=0.5))


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("supported", "The weights are supported as an explanation."),
        ("weak", "The weights are a weak explanation."),
        ("no better than random", "These weights do no better than random as an explanation."),
    ],
)
def test_the_verdict_is_a_sentence_to_quote(verdict, sentence):
    assert words.verdict(faithfulness(verdict)) == sentence


def test_the_evidence_is_of_the_probability_or_in_the_unit_of_the_target():
    found = faithfulness("weak", profile_correlation=0.81)
    assert "without the heaviest steps the prediction drops by 0.30, without as many at random by 0.05" in (
        words.evidence(found, "binary")
    )
    assert "0.70 in the mean over sequences, 0.81 of the mean weights by step." in words.evidence(found, "binary")
    said = words.evidence(faithfulness("weak", rank_correlation=None), "forecast")
    assert "in standard deviations of the target: without the heaviest steps the prediction moves by 0.30" in said
    assert said.endswith("changes: not defined.")


def test_the_card_carries_the_numbers_in_words():
    manifest = Manifest.read(ROOT / "models" / "planted-after" / "1")
    manifest = manifest.model_copy(
        update={"quality": quality(effect="costs"), "faithfulness": faithfulness("no better than random")}
    )
    text = card(manifest)
    assert "accuracy on 100 test sequences: **0.9000**." in text
    for sentence in (words.over_seeds, words.beside_twin, words.beside_baseline, words.calibration):
        assert sentence(manifest.quality) in text
    assert "**These weights do no better than random as an explanation.** Put to the test on 9" in text


def test_what_was_not_measured_is_not_said():
    bare = quality().model_copy(
        update={"interval": None, "twin": None, "baseline": None, "calibration_error": None, "seeds": {0: 0.9}}
    )
    assert [say(bare) for say in (words.over_seeds, words.beside_twin, words.beside_baseline, words.calibration)] == (
        [""] * 4
    )
    manifest = Manifest.read(ROOT / "models" / "planted-after" / "1")
    text = card(manifest.model_copy(update={"quality": bare, "faithfulness": None}))
    assert "## Quality\n\naccuracy on 100 test sequences: **0.9000**.\n\n## Attention" in text
    assert "May the weights be believed? Not tested." in text
