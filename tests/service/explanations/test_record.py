import numpy as np
import pytest

from service.explanations.record import steps
from service.explanations.stores.bundles import decode, encode
from service.ragged import Ragged
from tests.service.explanations.builders import explanation


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"per_feature": True},
        {"with_attention": False},
        {"steps": (1, 7, 3)},
        {
            "steps": (4, 2),
            "sequences": None,
            "attention": Ragged.of_matrices([np.full(shape, 0.5, np.float32) for shape in ((3, 4), (1, 2))]),
            "texts": ["7 V.", "12"],
            "answers": ["abc", "d"],
            "unknown": [[1], []],
        },
    ],
)
def test_records_come_back_as_they_were(options, count):
    some = [explanation(**{"steps": (5 + place,), "created": float(place), **options}) for place in range(count)]
    records = encode(some)
    assert len(records) in (1, 2)  # two where a span of ids ends between them
    back = [one for record in records for one in decode(record)]
    for before, after in zip(some, back, strict=True):
        check_same(before, after)


def check_same(before, after):
    for name in (
        "id",
        "created",
        "model",
        "version",
        "task",
        "features",
        "classes",
        "labels",
        "texts",
        "answers",
        "unknown",
    ):
        assert getattr(after, name) == getattr(before, name)
    np.testing.assert_array_equal(after.predictions, before.predictions)
    for one, other in zip(after.sequences or [], before.sequences or [], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(after.attention or [], before.attention or [], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (after.attention is None) == (before.attention is None)


def test_weights_by_step_are_the_mean_over_features():
    assert steps(np.array([[0.25, 0.75], [0.75, 0.25]], np.float32)).tolist() == [0.5, 0.5]
    assert steps(np.array([0.25, 0.75], np.float32)).tolist() == [0.25, 0.75]
