import numpy as np
import pandas as pd
import pytest

from training.data.tables import TableOptions, load_table
from training.data.windows import Windows

PARTS = ("train", "validation", "test")


@pytest.fixture
def read(tmp_path):
    """Reads a frame as a forecast, by default of the next 2 of column load from 3 steps."""

    def read(frame, name="own.csv", **options):
        path = tmp_path / name
        (frame.to_parquet if path.suffix == ".parquet" else frame.to_csv)(path, index=False)
        windows = {"horizon": 2, "window": 3} | options.pop("forecast", {})
        return load_table(path, TableOptions(**{"target": "load", "forecast": windows} | options))

    return read


def series(rows=50, **columns):
    """One series whose load in an hour is that hour."""
    return pd.DataFrame({"time": range(rows), "load": np.arange(rows, dtype=float)}).assign(**columns)


def many(count, rows=20):
    """Series whose load in an hour is a thousand times their number plus that hour, their rows mixed."""
    frames = [series(rows).assign(id=f"s{i}", load=1000.0 * i + np.arange(rows)) for i in range(count)]
    return pd.concat(frames).sample(frac=1, random_state=0)


def rows_of(part, column=0):
    """The values in the windows of a part and in what follows them, `(sample, span)`."""
    return np.concatenate([part.sequences[:, :, column], part.targets], axis=1)


@pytest.mark.parametrize("name", ["own.csv", "own.parquet"])
def test_windows_are_followed_by_the_next_values_of_the_target(read, name):
    frame = series(degrees=-np.arange(50.0)).sample(frac=1, random_state=0)
    data = read(frame.assign(time=pd.Timestamp("2026-03-29") + pd.to_timedelta(frame["time"], unit="h")), name)
    assert (data.task, data.features, data.labels, data.target) == ("forecast", ["load", "degrees"], [], "load")
    assert (data.outputs, data.time, data.variable_length) == (2, 3, False)
    for part in PARTS:
        found = getattr(data, part)
        assert (found.sequences.dtype, found.targets.dtype) == (np.float32, np.float32)
        np.testing.assert_array_equal(np.diff(rows_of(found), axis=1), 1)
        np.testing.assert_array_equal(found.sequences[:, :, 1], -found.sequences[:, :, 0])
        assert found.lengths.tolist() == [3] * len(found)
    assert str(data) == (
        "own: forecast of the next 2 of load; 26 training, 6 validation, 6 test sequences of 3 steps × load, degrees"
    )


def test_a_single_series_is_parted_by_time_and_no_row_is_in_two_parts(read):
    data = read(series())
    rows = [np.unique(rows_of(getattr(data, part))).tolist() for part in PARTS]
    assert rows == [list(range(30)), list(range(30, 40)), list(range(40, 50))]
    assert data.source == "own.csv (a long table whose load is forecast, split by time)"


def test_few_series_are_each_parted_by_time(read):
    data = read(many(3, rows=40))
    found = [np.unique(rows_of(getattr(data, part))).tolist() for part in PARTS]
    parts = [range(24), range(24, 32), range(32, 40)]
    assert found == [[1000 * i + row for i in range(3) for row in rows] for rows in parts]


def test_many_series_are_parted_by_series(read):
    data = read(many(20))
    ids = [set((rows_of(getattr(data, part)) // 1000).ravel()) for part in PARTS]
    assert [len(found) for found in ids] == [12, 4, 4]
    assert set.union(*ids) == set(range(20))
    np.testing.assert_array_equal(np.diff(rows_of(data.train), axis=1), 1)  # no window goes over two series
    assert data.source == "own.csv (a long table whose load is forecast, split by series)"


def test_a_column_split_says_the_part_of_each_row(read):
    split = ["test"] * 10 + ["train"] * 25 + ["validation"] * 15
    data = read(series(split=split))
    rows = [np.unique(rows_of(getattr(data, part))).tolist() for part in PARTS]
    assert rows == [list(range(10, 35)), list(range(35, 50)), list(range(10))]
    assert data.features == ["load"]
    assert data.source == "own.csv (a long table whose load is forecast, split by its column split)"


def test_windows_may_begin_further_apart(read):
    data = read(series(), forecast={"stride": 4})
    assert data.train.sequences[:, 0, 0].tolist() == [0, 4, 8, 12, 16, 20, 24]


def test_the_target_is_a_feature_even_if_it_is_not_named_as_one(read):
    frame = series(degrees=1.5, wind=2.5)
    assert read(frame, feature_columns=["wind"]).features == ["load", "wind"]
    assert read(frame, feature_columns=["wind", "load"]).features == ["wind", "load"]


def test_a_value_that_was_filled_in_is_never_a_target(read):
    frame = series()
    frame.loc[20, "load"] = np.nan
    data = read(frame, impute="last")
    assert 19 in rows_of(data.train)
    windows = rows_of(data.train)
    filled = windows[(windows[:, :3] == 19).sum(axis=1) == 2]  # the last value before it stands in for it
    assert len(filled) == 2
    assert (np.diff(windows[:, 2:], axis=1) == 1).all(axis=1).sum() == len(windows) - 1
    assert data.source == "own.csv (a long table whose load is forecast, split by time, missing values filled in: last)"


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (series().drop(columns="time"), {}, "expected a column time, received load, row 1"),
        (series(), {"target": "power"}, "expected a column power, received time, load, row 1"),
        (series(), {"id": "plant"}, "expected a column plant, received time, load, row 1"),
        (series(load="much"), {}, "expected a number in column load, received much, row 2"),
        (series().assign(time=[*range(49), 7]), {}, "expected every time once, received 7, row 51"),
        (
            series(20),
            {},
            "expected windows of 3 + 2 rows for train, validation and test, received 8 for train, 0 for validation, 0 "
            "for test; the longest series has 20 rows, which the shares divide where series are few",
        ),
    ],
)
def test_what_cannot_be_forecast_is_refused(read, frame, options, sentence):
    with pytest.raises(ValueError, match="expected") as refused:
        read(frame, **options)
    assert str(refused.value) == sentence


def test_arrays_have_no_time_to_forecast(tmp_path):
    np.savez(tmp_path / "own.npz", sequences=np.zeros((9, 5, 1)), targets=np.arange(9))
    with pytest.raises(ValueError, match=r"expected a long table, \.csv or \.parquet, for a forecast, received .*npz"):
        load_table(tmp_path / "own.npz", TableOptions(forecast=Windows(horizon=1, window=2)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"forecast": {"horizon": 2}}, r"forecast\.window\n +Field required"),
        ({"forecast": {"horizon": 0, "window": 2}}, r"forecast\.horizon\n +Input should be greater than 0"),
        (
            {"forecast": {"horizon": 1, "window": 2}, "task": "regression"},
            "expected no task with a horizon, which makes it a forecast, received regression",
        ),
    ],
)
def test_options_that_make_no_forecast_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        TableOptions(**options)
