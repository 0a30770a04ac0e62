import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from training import search as module
from training.data.datasets import Data, Dataset, planted
from training.models import ModelConfig, Scaling, build
from training.runs import FitConfig
from training.scores import SCORES
from training.search import Tries, change, search

START = ModelConfig(position="before", units=3, block_noise=2)
SETTINGS = FitConfig(epochs=2, batch_size=32)


def tried(folder):
    return Tries.model_validate_json((folder / "search.json").read_bytes())


def degrees(n=40, scale=100.0):
    """A regression: a hundred times the first value of a sequence."""
    sequences = np.random.default_rng(0).normal(size=(n, 4, 1)).astype(np.float32)
    part = Dataset(sequences, np.full(n, 4, np.int32), scale * sequences[:, 0, 0])
    return Data("degrees", "made up", "regression", ["x"], [], part, part, part)


def test_every_try_changes_something_about_the_best_so_far(monkeypatch, tmp_path, capsys):
    plan = [{"position": "before", "score": "dense"}, {"position": "after"}, {"units": 5}, {"units": 5}]
    monkeypatch.setattr(module, "PLAN", plan)
    data = planted(n=100, time_steps=5, step=2)
    chosen = search(data, START, SETTINGS, budget=600, fixed=[], folder=tmp_path / "run")
    found = tried(tmp_path / "run").tries
    assert len(found) == 3  # what was tried already is not tried again
    losses = [one.validation_loss for one in found]
    assert losses == sorted(losses)
    assert all(0 <= one.metric <= 1 and one.epochs == 2 and one.seconds > 0 for one in found)
    assert chosen == found[0].model
    bigger = next(one.model for one in found if one.model.units == 5)
    smaller = [one for one in found if one.model.units == 3]
    assert {one.model.position for one in smaller} == {"before", "after"}
    assert bigger == smaller[0].model.model_copy(update={"units": 5})
    said = capsys.readouterr().out
    assert "3 configurations tried in " in said
    assert "accuracy" in said
    assert f"{losses[0]:.4f}" in said
    assert "bidirectional" not in said  # the same in all of them


def test_no_try_begins_after_the_budget_and_what_was_chosen_stays(tmp_path):
    data = degrees()
    start = START.model_copy(update={"score": "cosine"})
    chosen = search(data, start, SETTINGS, budget=0.001, fixed=["score", "position"], folder=tmp_path)
    assert chosen == start
    found = tried(tmp_path)
    assert (found.budget, len(found.tries), found.tries[0].epochs) == (0.001, 1, 1)
    rmse = np.sqrt(found.tries[0].validation_loss) * data.train.targets.std()
    assert found.tries[0].metric == pytest.approx(rmse)  # in degrees, not in their standard deviations
    assert found.tries[0].metric > 10


def test_what_does_not_go_with_what_was_chosen_is_not_tried(monkeypatch, tmp_path):
    plan = [{"position": "before", "score": "dense"}, {"position": "after", "score": "cosine"}, {"position": "after"}]
    monkeypatch.setattr(module, "PLAN", plan)
    start = ModelConfig(position="before", units=2, per_feature=True)
    data = planted(n=50, time_steps=5, step=2)
    search(data, start, SETTINGS, budget=600, fixed=["per_feature"], folder=tmp_path)
    found = {(one.model.position, one.model.score, one.model.per_feature) for one in tried(tmp_path).tries}
    assert found == {("before", "dense", True), ("after", "dense", True)}


def test_a_try_that_diverges_is_the_last_and_said_to_be(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "PLAN", [{"position": "none"}])
    data = degrees()
    broken = replace(data, validation=replace(data.validation, targets=np.full(40, np.nan, np.float32)))
    search(broken, ModelConfig(position="none", units=2), SETTINGS, budget=60, fixed=[], folder=tmp_path)
    assert json.loads((tmp_path / "search.json").read_text())["tries"][0]["validation_loss"] is None
    assert "diverged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "changes", "expected"),
    [
        ({"position": "before", "block_noise": 2}, {"position": "after"}, {"position": "after", "block_noise": 0}),
        ({"position": "after"}, {"position": "before"}, {"position": "before", "block_noise": 2}),
        ({"position": "none"}, {"score": "dot"}, {"position": "none"}),
        ({"position": "none"}, {"layers": 2}, {"position": "none", "layers": 2}),
    ],
)
def test_a_change_leaves_out_what_makes_no_sense_with_it(model, changes, expected):
    assert change(ModelConfig(**model), changes, START) == ModelConfig(**expected)


def test_the_plan_holds_every_score_in_both_positions():
    seen = {(changes["position"], changes["score"]) for changes in module.PLAN if "score" in changes}
    assert seen == set(itertools.product(("before", "after"), SCORES))


@pytest.mark.parametrize("fixed", ["", "position"])
@pytest.mark.parametrize(
    ("position", "per_feature"),
    [("before", False), ("before", True), ("after", False), ("after", True), ("none", False)],
)
def test_all_of_the_plan_can_be_built_but_for_the_cosine_of_each_feature(position, per_feature, fixed):
    start = ModelConfig(position=position, per_feature=per_feature, units=2)
    refused = set()
    for changes in module.PLAN:
        model = change(start, {name: value for name, value in changes.items() if name != fixed}, start)
        if model is None:
            refused.add(changes.get("score"))
        else:
            build(model, task="binary", outputs=1, time=4, scaling=Scaling(mean=[0, 0], variance=[1, 1]))
    assert refused == ({"cosine"} if per_feature else set())
