"""Files of explanations of which some are kept without their inputs, or have no weights."""

import io

import msgspec
import numpy as np
import pytest

from service.explanations.export.files import PaddedSize, npz, table
from tests.service.explanations.builders import explanation, text_explanation


def test_what_is_missing_is_null_and_the_rest_is_there():
    whole, without = explanation(steps=(2, 3)), explanation(steps=(4,), labels=None).without_inputs()
    rows = table([whole, without])
    frame = rows.to_pandas()
    assert frame["x1"].isna().tolist() == [False] * 5 + [True] * 4
    np.testing.assert_array_equal(frame["x1"][:5], np.concatenate(list(whole.sequences))[:, 1])
    np.testing.assert_array_equal(frame["weight"], np.concatenate([*whole.attention, *without.attention]))
    assert rows["label"].to_pylist() == ["yes"] * 5 + [None] * 4
    assert frame["step"].tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3]
    plain = explanation(steps=(2,), with_attention=False)
    assert table([plain]).to_pandas()["weight"].isna().all()


def test_arrays_are_padded_and_say_their_lengths():
    arrays = np.load(io.BytesIO(npz([explanation(steps=(2, 3)), explanation(steps=(1,))])))
    assert arrays["lengths"].tolist() == [2, 3, 1]
    assert arrays["sequences"].shape == (3, 3, 2)
    np.testing.assert_array_equal(arrays["attention"][2], [1, 0, 0])
    assert "sequences" not in np.load(io.BytesIO(npz([explanation().without_inputs()])))


@pytest.mark.parametrize("per_feature", [False, True])
def test_the_size_of_padded_arrays_is_added_up_page_by_page(per_feature):
    pages = [
        [explanation(steps=steps, per_feature=per_feature) for steps in page]
        for page in ([(2, 3), (1,)], [(7,)], [(4,)])
    ]
    size = PaddedSize()
    for count in (1, 2, 3):
        arrays = np.load(io.BytesIO(npz([one for page in pages[:count] for one in page])))
        assert size.add(pages[count - 1]) == arrays["sequences"].size + arrays["attention"].size


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"task": "binary", "outputs": 1}, ["prediction"]),
        ({"task": "regression", "classes": [], "outputs": 1}, ["prediction"]),
        ({"task": "multiclass", "classes": ["low", "high"], "outputs": 2}, ["prediction low", "prediction high"]),
        ({"task": "forecast", "classes": [], "outputs": 2}, ["prediction 1", "prediction 2"]),
        ({"task": "forecast", "classes": [], "outputs": 1}, ["prediction 1"]),
    ],
)
def test_each_number_of_a_prediction_has_a_column(fields, names):
    count = fields.pop("outputs")
    predictions = np.arange(2 * count, dtype=np.float32).reshape(2, count)
    frame = table([explanation(steps=(2, 3), predictions=predictions, **fields)]).to_pandas()
    assert [name for name in frame.columns if name.startswith("prediction")] == names
    np.testing.assert_array_equal(frame[names], predictions.repeat([2, 3], axis=0))


def test_a_time_is_that_of_the_answers():
    one = explanation(created=1795888452.3834086)  # as it was kept before times were rounded
    [created] = set(table([one])["created"].to_pylist())
    assert created == one.created_at


def test_a_feature_that_is_named_like_another_column_loses_nothing():
    one = explanation(steps=(3,), features=2)
    one = msgspec.structs.replace(one, features=["label", "weight"])
    frame = table([one]).to_pandas()
    assert frame["label"].tolist() == ["yes"] * 3
    np.testing.assert_array_equal(frame[["feature label", "feature weight"]], one.sequences[0])
    np.testing.assert_array_equal(frame["weight"], one.attention[0])


def test_no_column_takes_the_place_of_another():
    one = explanation(steps=(3,), features=["weight", "weight weight", "step", "feature step"], per_feature=True)
    arrow = table([one])
    assert len(set(arrow.column_names)) == len(arrow.column_names)
    frame = arrow.to_pandas()
    features = ["feature weight", "feature weight weight", "feature step", "feature feature step"]
    np.testing.assert_array_equal(frame[features], one.sequences[0])
    np.testing.assert_array_equal(frame[[f"weight {name}" for name in one.features]], one.attention[0])
    assert frame["step"].tolist() == [0, 1, 2]


def test_of_texts_that_are_not_kept_the_weights_are_there():
    random = np.random.default_rng(0)
    whole = text_explanation(random.dirichlet(np.ones(6), 3), text="3 May.", count=2)
    without = text_explanation(random.dirichlet(np.ones(4), 2)).without_inputs()
    empty = text_explanation(np.zeros((0, 5)), answers=[""])
    frame = table([whole, without, empty]).to_pandas()
    assert len(frame) == 2 * 3 * 6 + 2 * 4  # an empty answer has no weights
    assert frame["in_character"].isna().tolist() == [False] * 36 + [True] * 8
    assert frame["in_character"][:6].tolist() == list("3 May.")
    assert frame["out_character"][36:].tolist() == ["0"] * 4 + ["1"] * 4
    np.testing.assert_array_equal(frame["weight"], np.concatenate([whole.attention.values, without.attention.values]))
    arrays = np.load(io.BytesIO(npz([whole, without, empty])))
    assert "texts" not in arrays
    assert arrays["out_lengths"].tolist() == [3, 3, 2, 0]
    assert PaddedSize().add([whole, without, empty]) == arrays["attention"].size == 4 * 3 * 6
