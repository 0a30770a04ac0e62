import numpy as np
import pandas as pd
import pytest

from training.data.tables import TableOptions, load_table
from training.fit import class_weights, load

PARTS = ("train", "validation", "test")
SPLIT_LONG = ["a,0,1,5,train", "b,0,2,6,train", "c,0,3,7,validation", "d,0,4,8,test"]  # id, time, x, target, split


@pytest.fixture
def read(tmp_path):
    """Reads lines of CSV, or a frame or arrays written to the file of that name."""

    def read(content, name="own.csv", **options):
        path = tmp_path / name
        if isinstance(content, list):
            path.write_text("\n".join(content) + "\n")
        elif isinstance(content, dict):
            np.savez(path, **content)
        else:
            (content.to_parquet if path.suffix == ".parquet" else content.to_csv)(path, index=False)
        return load_table(path, TableOptions(**options))

    return read


@pytest.fixture
def refusal(read):
    """The sentence with which something is refused."""

    def refusal(content, name="own.csv", **options):
        with pytest.raises(ValueError, match="expected") as refused:
            read(content, name, **options)
        return str(refused.value)

    return refusal


def long_frame(sequences=30, classes=("no", "yes")):
    """Sequences of 2 to 4 steps, their rows shuffled, whose value x is 100 times the sequence plus the step."""
    rows = [
        {
            "id": f"s{i}",
            "time": step,
            "x": 100 * i + step,
            "site": "Rome",
            "y": -step,
            "target": classes[i % len(classes)],
        }
        for i in range(sequences)
        for step in range(2 + i % 3)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def long_lines(*rows, header="id,time,x,target"):
    return [header, *rows]


def wide_lines(*rows, sequences=20):
    """Rows of a wide table with two steps, and as many more of two classes as it takes to have enough."""
    return ["t0,t1,target", *rows, *(f"{i},{i + 0.5},{'ab'[i % 2]}" for i in range(sequences))]


def everything(data):
    """All sequences without their padding, whichever part they are in."""
    parts = [getattr(data, part) for part in PARTS]
    return [part.sequences[i, :length] for part in parts for i, length in enumerate(part.lengths)]


@pytest.mark.parametrize("name", ["own.csv", "own.parquet", "OWN.CSV"])
def test_a_long_table_is_sequences_in_the_order_of_time(read, name):
    data = read(long_frame(), name)
    assert (data.task, data.labels, data.features) == ("binary", ["no", "yes"], ["x", "y"])
    assert data.time == 4
    assert data.variable_length
    seen = set()
    for part in (data.train, data.validation, data.test):
        assert part.sequences.dtype == np.float32
        for sequence, length, target in zip(part.sequences, part.lengths, part.targets, strict=True):
            i = int(sequence[0, 0]) // 100
            steps = np.arange(2 + i % 3)
            np.testing.assert_array_equal(sequence[:length], np.stack([100 * i + steps, -steps], axis=1))
            assert (sequence[length:] == 0).all()
            assert target == i % 2
            seen.add(i)
    assert seen == set(range(30))


def test_columns_may_have_other_names_and_features_be_chosen(read):
    frame = long_frame().rename(columns={"id": "machine", "time": "clock", "target": "state"})
    data = read(frame, id="machine", time="clock", target="state", feature_columns=["y"])
    assert data.features == ["y"]
    assert sorted(map(len, everything(data))) == sorted(2 + i % 3 for i in range(30))


@pytest.mark.parametrize("name", ["own.csv", "own.parquet"])
def test_times_may_be_dates(read, name):
    frame = long_frame()
    dates = frame.assign(time=pd.Timestamp("2026-03-29 01:00") + pd.to_timedelta(frame["time"], unit="h"))
    for one, other in zip(everything(read(frame)), everything(read(dates, name)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ids_are_names_not_numbers(read):
    rows = [f"{name},0,{i},{i / 7}" for i, name in enumerate(["7", "07", "007", "7.0", "70"])]
    assert len(everything(read(long_lines(*rows)))) == 5


def test_a_wide_table_is_a_sequence_in_each_row(read):
    rows = [f"{i},{i + 0.25},m{i},note,{i + 0.5},{i % 2}" for i in range(20)]
    data = read(["start,middle,id,comment,end,target", *rows])
    assert (data.features, data.labels, data.variable_length) == (["value"], ["0", "1"], False)
    assert data.train.sequences.shape == (12, 3, 1)
    for sequence in everything(data):
        np.testing.assert_array_equal(sequence[:, 0] - sequence[0, 0], [0, 0.25, 0.5])


def test_arrays_are_taken_as_they_are(read):
    random = np.random.default_rng(0)
    sequences, lengths = random.normal(size=(20, 5, 2)), random.integers(1, 6, 20)
    sequences[np.arange(5) >= lengths[:, None]] = np.nan  # what stands in the padding does not matter
    data = read({"sequences": sequences, "targets": np.arange(20) / 3, "lengths": lengths}, "own.npz")
    assert (data.task, data.labels, data.features) == ("regression", [], ["x0", "x1"])
    for part in (data.train, data.validation, data.test):
        rows = np.rint(part.targets * 3).astype(int)
        np.testing.assert_array_equal(part.lengths, lengths[rows])
        np.testing.assert_array_equal(part.sequences, np.nan_to_num(sequences[rows]).astype(np.float32))
    assert read({"sequences": np.ones((9, 2, 1), int), "targets": np.arange(9) / 3}, "own.npz").time == 2


@pytest.mark.parametrize(
    ("targets", "task", "labels"),
    [
        (["no", "yes"], "binary", ["no", "yes"]),
        (["None", "NA"], "binary", ["NA", "None"]),
        (["True", "False"], "binary", ["False", "True"]),
        ([-1, 1], "binary", ["-1", "1"]),
        (["1.0", "0"], "binary", ["0", "1"]),
        ([10, 9, 1], "multiclass", ["1", "9", "10"]),
        (["b", "c", "1"], "multiclass", ["1", "b", "c"]),
        (list(range(20)), "multiclass", [str(i) for i in range(20)]),
        (list(range(21)), "regression", []),
        ([0.5, 1], "regression", []),
    ],
)
def test_the_task_is_told_by_the_targets(read, targets, task, labels):
    data = read(["t0,target", *(f"{i},{target}" for i, target in enumerate(targets * 5))])
    assert (data.task, data.labels) == (task, labels)


def test_the_types_of_parquet_are_read(read):
    frame = long_frame(classes=("no", "yes", "perhaps"))
    typed = frame.astype({"id": "category", "target": "category", "x": "Int64", "y": "Float32", "time": "int8"})
    data, other = read(frame), read(typed, "own.parquet")
    assert (data.labels, data.features) == (other.labels, other.features) == (["no", "perhaps", "yes"], ["x", "y"])
    for one, typed_one in zip(everything(data), everything(other), strict=True):
        np.testing.assert_array_equal(one, typed_one)
    indexed = pd.DataFrame(
        {"t0": [0.5, 1] * 6, "on": [True, False] * 6, "target": [True, False] * 6}, index=range(5, 17)
    )
    data = read(indexed, "own.parquet")
    assert (data.labels, data.time) == (["False", "True"], 2)


def test_a_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "own.csv").write_bytes("t0,target\n1,Größe\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"^expected text in UTF-8, received something else in .*own.csv: "):
        load_table(tmp_path / "own.csv", TableOptions())


def test_the_task_may_be_said(read):
    assert read(wide_lines(), task="multiclass").task == "multiclass"
    data = read(["t0,target", *(f"{i},{i % 3}" for i in range(12))], task="regression")
    assert (data.task, data.labels, data.train.targets.dtype) == ("regression", [], np.float32)


def test_each_part_has_its_share_of_each_class_and_is_always_the_same(read):
    lines = ["t0,target", *(f"{i},{'b' if i % 10 == 0 else 'a'}" for i in range(100))]
    data, again = read(lines), read(lines)
    assert [np.bincount(getattr(data, part).targets).tolist() for part in PARTS] == [[54, 6], [18, 2], [18, 2]]
    assert sorted(int(sequence[0, 0]) for sequence in everything(data)) == list(range(100))
    assert all((one == other).all() for one, other in zip(everything(data), everything(again), strict=True))
    other = read(lines, test_share=0.5, validation_share=0.1)
    assert [len(getattr(other, part)) for part in PARTS] == [40, 10, 50]


def test_a_column_split_decides(read):
    data = read(long_lines(*SPLIT_LONG, "a,1,9,5,train", header="id,time,x,target,split"), task="regression")
    assert [getattr(data, part).targets.tolist() for part in PARTS] == [[5, 6], [7], [8]]
    assert data.train.sequences.tolist() == [[[1], [9]], [[2], [0]]]
    assert data.features == ["x"]
    assert data.source == "own.csv (a long table, split by its column split)"


@pytest.mark.parametrize(
    ("impute", "expected"),
    [("zero", [[1, 0, 3], [0, 9, 0]]), ("mean", [[1, 2, 3], [2, 9, 2]]), ("last", [[1, 1, 3], None])],
)
def test_missing_values_are_filled_in_as_told(read, refusal, impute, expected):
    """The mean is that of the train part, 1, 3 and 2."""
    rows = ["1,,3,1,train", "2,NaN,2,2,train", "5,5,5,3,validation", "NA,9,null,4,test"]
    lines = ["t0,t1,t2,target,split", *rows]
    if expected[1] is None:
        sentence = refusal(lines, impute=impute, task="regression")
        assert sentence.endswith("in column value of the sequence that begins in row 5")
        lines[-1] = "9,9,9,4,test"
    data = read(lines, impute=impute, task="regression")
    assert data.source == f"own.csv (a wide table, split by its column split, missing values filled in: {impute})"
    assert data.train.sequences[0, :, 0].tolist() == expected[0]
    assert data.test.sequences[0, :, 0].tolist() == (expected[1] or [9, 9, 9])


def test_a_last_value_is_not_that_of_another_sequence(refusal):
    lines = long_lines("a,0,1,1.5", "a,1,,1.5", "b,0,,2.5", "c,0,2,3", "d,0,2,3", "e,0,2,3")
    assert "the sequence that begins in row 4" in refusal(lines, impute="last")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["time,x,target", "0,1,a"], "expected a column id, received time, x, target, row 1"),
        (["id,time,x", "a,0,1"], "expected a column target, received id, time, x"),
        (
            ["id;time;x;target", "a;0;0,5;a"],
            "expected columns divided by commas, received ; in 'id;time;x;target', row 1",
        ),
        (["id\ttarget", "a\tb"], r"expected columns divided by commas, received tabs in 'id\ttarget', row 1"),
        (["id,time,x,target", "a,0,1,a", "a,1,?,a"], "expected a number in column x, received ?, row 3"),
        (["id,time,x,target", "a,0,1,a", "", "a,1,?,a"], "expected a number in column x, received ?, row 4"),
        (
            ["id,time,x,target", "a,0,1,a", "a,1,,a"],
            "expected a number in column x, or --impute, received nothing, row 3",
        ),
        (
            ["id,time,x,target", "a,0,1,a", "a,1,n/a,a"],
            "expected a number in column x, or --impute, received n/a, row 3",
        ),
        (["id,time,x,target", "a,0,-inf,a"], "expected a finite number in column x, received -inf, row 2"),
        (["id,time,x,target", "a,0,1e39,a"], "expected a finite number in column x, received 1e39, row 2"),
        (["id,time,x,target", ",0,1,a"], "expected a value in column id, received nothing, row 2"),
        (["id,time,x,target", "a,,1,a"], "expected a value in column time, received nothing, row 2"),
        (["id,time,x,target", "a,0,1,"], "expected a value in column target, received nothing, row 2"),
        (["id,time,x,target", "a,0,1,a", "a,noon,1,a"], "expected a number in column time, received noon, row 3"),
        (
            ["id,time,x,target", "a,2026-01-01,1,a", "a,noon,1,a"],
            "expected numbers or ISO 8601 dates in column time, received noon, row 3",
        ),
        (
            ["id,time,x,target", "a,0,1,a", "b,0,1,a", "a,0.0,2,a"],
            "expected every time once within each id, received 0.0, row 4",
        ),
        (
            ["id,time,x,target", "a,0,1,a", "b,0,1,b", "a,1,2,b"],
            "expected the same target in every row of each id, a as in row 2, received b, row 4",
        ),
        (
            ["id,time,x,target,split", "a,0,1,a,train", "b,0,1,b,test", "a,1,2,a,test"],
            "expected the same split in every row of each id, train as in row 2, received test, row 4",
        ),
        (
            ["t0,target,split", "1,a,train", "1,b,dev"],
            "expected train, validation or test in column split, received dev, row 3",
        ),
        (["id,t0,target", "a,1,a", "a,2,b"], "expected every id once, as there is no column time"),
        (wide_lines("0,0,c"), "expected at least 2 sequences of each class, received c, row 2"),
        (
            ["t0,target", "1,a", "2,a"],
            "expected at least two different targets, received only a in column target of all 2 sequences, from row 2",
        ),
        (["t0,target", "1,inf", "2,0.5"], "expected a finite value in column target, received inf, row 2"),
        (["t0,target", "1,0.1", "2,0.5"], "expected sequences for train, validation and test, received 1 for train, 0"),
        (
            ["t0,target,split", "1,a,train", "1,a,train", "1,b,test", "1,b,validation"],
            "expected every class in the train part, received none of b",
        ),
        (["name,target", "x,a", "y,b"], "expected a column of numbers, received columns name, target"),
        (["id,time,x,target"], "expected at least one row of data, received an empty table"),
        ([], "expected a header, received an empty file"),
        (["t0,target", "1,a", "2,b,c"], "expected the same number of columns in every row: "),
        (["t0,target", "1,a,x", "2,b,x"], "expected 2 values in every row, as in the header, received more, row 2"),
    ],
)
def test_a_fault_is_said_with_its_row_and_column(refusal, lines, sentence):
    assert refusal(lines).startswith(sentence)
    assert "\n" not in refusal(lines)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"time": "clock"}, "expected a column id, received t0, t1, target, row 1"),
        ({"id": "name"}, "expected a column name, received t0, t1, target, row 1"),
        ({"feature_columns": ["t0", "t2"]}, "expected a column t2, received t0, t1, target, row 1"),
        ({"feature_columns": ["t0", "target"]}, "expected features other than the target, received target"),
        ({"task": "regression"}, "expected a number in column target for a regression, received a, row 2"),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(refusal, options, sentence):
    assert refusal(wide_lines(), **options) == sentence


def test_more_than_two_targets_are_not_binary(refusal):
    lines = wide_lines("0,0,c", "0,0,c")
    assert refusal(lines, task="binary") == "expected two different targets for a binary task, received 3"


def test_a_mean_of_nothing_is_refused(refusal):
    sentence = refusal(long_lines(*(f"{i},0,,{i / 3}" for i in range(9))), impute="mean")
    assert sentence == "expected a number for --impute mean in column x, received none in the train part"


SEQUENCES = np.zeros((4, 3, 2))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"sequences": SEQUENCES}, "expected an array targets, received sequences"),
        (
            {"sequences": SEQUENCES[0], "targets": np.arange(4)},
            "expected sequences of numbers (n, time, feature), none of them 0, received float64 of shape (3, 2)",
        ),
        (
            {"sequences": SEQUENCES, "targets": np.arange(3)},
            "expected targets of shape (4,), one for each sequence, received (3,)",
        ),
        (
            {"sequences": SEQUENCES, "targets": np.arange(4), "lengths": np.array([1, 2, 0, 3])},
            "expected lengths from 1 to 3, received 0, row 2",
        ),
        (
            {"sequences": np.full((4, 3, 2), [0, np.nan]), "targets": np.arange(4)},
            "expected a number, or --impute in sequences[0, 0, 1], received nan",
        ),
        (
            {"sequences": np.full((4, 3, 2), [0, np.inf]), "targets": np.arange(4)},
            "expected a finite number in sequences[0, 0, 1], received inf",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(refusal, arrays, sentence):
    assert refusal(arrays, "own.npz") == sentence


def test_names_of_columns_are_refused_for_arrays(refusal):
    arrays = {"sequences": SEQUENCES, "targets": np.arange(4)}
    assert refusal(arrays, "own.npz", target="y").startswith("expected no names of columns for arrays")
    assert refusal(arrays, "own.npz", feature_columns=["x"]) == "expected 2 feature columns, received 1: x"


@pytest.mark.parametrize("name", ["own.npz", "own.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing that can be read")
    with pytest.raises(ValueError, match=r".") as refused:
        load_table(tmp_path / name, TableOptions())
    assert "\n" not in str(refused.value)


def test_an_unknown_suffix_is_refused():
    sentence = r"^expected a built-in data set \(planted, .*\) or a .csv, .parquet or .npz file, received italy-powr$"
    with pytest.raises(ValueError, match=sentence):
        load("italy-powr", TableOptions())


@pytest.mark.parametrize("options", [{"test_share": 0.5, "validation_share": 0.5}, {"test_share": 0}, {"impute": "x"}])
def test_options_out_of_their_range_are_refused(options):
    with pytest.raises(ValueError, match=r"test_share|impute"):
        TableOptions(**options)


def test_uneven_classes_are_weighted_so_that_they_count_alike(read):
    lines = ["t0,target", *(f"{i},{'b' if i % 4 == 0 else 'a'}" for i in range(40))]
    data = read(lines)
    assert np.bincount(data.train.targets).tolist() == [18, 6]
    assert class_weights(data) == {0: pytest.approx(24 / 36), 1: pytest.approx(2)}
    assert class_weights(read(wide_lines())) is None
    assert class_weights(read(["t0,target", *(f"{i},{i / 3}" for i in range(20))])) is None
