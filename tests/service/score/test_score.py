"""python -m service score, in this process."""

import csv
import json

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.service.graphs import failing_model, mean_model, write_model
from tests.service.score.tables import draw, lists, long, write_csv, write_parquet
from tests.serving import MODELS

VOWELS = json.loads((MODELS / "japanese-vowels/1/model.json").read_text())


def bare(model, sequences):
    """Prediction and attention of each sequence, run by itself."""
    session = ort.InferenceSession(MODELS / model / "1" / "model.onnx")
    found = []
    for sequence in sequences:
        feeds = {"sequences": sequence[None]}
        if len(session.get_inputs()) == 2:
            feeds["lengths"] = np.array([len(sequence)], np.int32)
        prediction, attention = session.run(["prediction", "attention"], feeds)
        found.append((prediction[0], attention[0]))
    return found


def faults(out):
    with out.with_name(f"{out.name}.errors.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_lengths_that_differ_come_back_in_order_with_their_own_weights(tmp_path, score, rows):
    sequences = draw(700, features=12, low=1, high=30)
    source = write_parquet(tmp_path / "in.parquet", lists(sequences, VOWELS["features"]), rows=300)
    score(source, tmp_path / "out.parquet", model="japanese-vowels")
    found = rows(tmp_path / "out.parquet")
    assert [row["id"] for row in found] == [f"s{i}" for i in range(700)]
    for row, (prediction, attention) in zip(found, bare("japanese-vowels", sequences), strict=True):
        np.testing.assert_allclose(row["prediction"], prediction, atol=1e-5)
        np.testing.assert_allclose(row["attention"], attention, atol=1e-5)
        assert row["label"] == VOWELS["labels"][int(np.argmax(row["prediction"]))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize(("layout", "suffix"), [(lists, "parquet"), (long, "parquet"), (long, "csv")])
def test_every_layout_says_the_same(tmp_path, score, rows, layout, suffix):
    sequences = draw(50, features=12, low=3, high=9)
    score(
        write_parquet(tmp_path / "expected-in.parquet", lists(sequences, VOWELS["features"])),
        tmp_path / "a.parquet",
        model="japanese-vowels",
    )
    table = layout(sequences, VOWELS["features"])
    write = {"parquet": lambda path, table: write_parquet(path, table, rows=7), "csv": write_csv}[suffix]
    score(write(tmp_path / f"in.{suffix}", table), tmp_path / "b.parquet", model="japanese-vowels")
    for expected, found in zip(rows(tmp_path / "a.parquet"), rows(tmp_path / "b.parquet"), strict=True):
        assert (expected["id"], expected["label"]) == (found["id"], found["label"])
        np.testing.assert_allclose(found["prediction"], expected["prediction"], atol=1e-5)
        np.testing.assert_allclose(found["attention"], expected["attention"], atol=1e-5)


def test_a_wide_table_leaves_out_target_and_split(tmp_path, score, rows):
    days = draw(5, features=1, low=24, high=24)
    table = pa.table(
        {f"h{i}": [day[i, 0] for day in days] for i in range(24)} | {"target": ["a"] * 5, "split": ["x"] * 5}
    )
    score(write_csv(tmp_path / "in.csv", table), tmp_path / "out.parquet", model="italy-power")
    expected = [prediction[0] for prediction, _ in bare("italy-power", days)]
    np.testing.assert_allclose([row["prediction"] for row in rows(tmp_path / "out.parquet")], expected, atol=1e-5)


def test_arrays_go_in_and_come_out(tmp_path, score):
    sequences = draw(40, features=12, low=2, high=6)
    padded = np.zeros((40, 6, 12), np.float64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    lengths = [len(sequence) for sequence in sequences]
    np.savez_compressed(tmp_path / "in.npz", sequences=padded, lengths=lengths)
    score(tmp_path / "in.npz", tmp_path / "out.npz", model="japanese-vowels")
    with np.load(tmp_path / "out.npz") as found:
        assert found["lengths"].tolist() == lengths
        for i, (prediction, attention) in enumerate(bare("japanese-vowels", sequences)):
            np.testing.assert_allclose(found["predictions"][i], prediction, atol=1e-5)
            np.testing.assert_allclose(found["attention"][i], np.pad(attention, (0, 6 - len(attention))), atol=1e-5)
        assert found["labels"][0] in VOWELS["labels"]


def test_csv_out_has_lists_as_json(tmp_path, score):
    source = write_parquet(tmp_path / "in.parquet", lists(draw(3)))
    score(source, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["id"] for row in found] == ["s0", "s1", "s2"]
    assert sum(json.loads(found[0]["attention"])) == pytest.approx(1, abs=1e-5)
    assert found[0]["label"] == str(int(float(found[0]["prediction"]) >= 0.5))


def test_without_attention_there_is_no_such_column(tmp_path, score):
    source = write_parquet(tmp_path / "in.parquet", lists(draw(3)))
    score(source, tmp_path / "out.parquet", "--no-attention")
    assert pq.read_schema(tmp_path / "out.parquet").names == ["id", "prediction", "label"]


def test_what_is_wrong_with_lists_is_said_by_row_and_the_rest_goes_on(tmp_path, score, rows):
    columns = lists(draw(8)).to_pydict()
    columns["x1"][1][3] = None
    columns["x0"][2] = columns["x0"][2][:5]
    columns["x1"][4] = None
    columns["x0"][5] = columns["x1"][5] = columns["x0"][5][:4]
    columns["x0"][6][19] = float("inf")
    good = write_parquet(tmp_path / "good.parquet", lists(draw(8)))
    score(good, tmp_path / "good-out.parquet")
    said = score(write_parquet(tmp_path / "in.parquet", pa.table(columns)), tmp_path / "out.parquet")
    assert "8 sequences" in said
    assert "5 of them without a prediction" in said
    found, expected = rows(tmp_path / "out.parquet"), rows(tmp_path / "good-out.parquet")
    assert [i for i, row in enumerate(found) if row["prediction"] is None] == [1, 2, 4, 5, 6]
    assert found[1] == {"id": "s1", "prediction": None, "label": None, "attention": None}
    for i in (0, 3, 7):
        assert found[i]["prediction"] == pytest.approx(expected[i]["prediction"], abs=1e-6)
    assert [tuple(fault.values()) for fault in faults(tmp_path / "out.parquet")] == [
        ("3", "s1", "a finite number in column x1, step 3", "nothing"),
        ("4", "s2", "lists of the same length in x0, x1", "lengths 5, 20"),
        ("6", "s4", "lists of the same length in x0, x1", "lengths 20, 0"),
        ("7", "s5", "20 time steps × 2 features", "4 time steps"),
        ("8", "s6", "a finite number in column x0, step 19", "inf"),
    ]


def test_what_is_wrong_in_a_csv_is_said_with_its_line(tmp_path, score, rows):
    source = write_csv(tmp_path / "in.csv", long(draw(4)))
    lines = source.read_text().splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + ",warm"  # s0
    lines[25] += ",1"  # s1
    lines[45] = ""  # s2 has a step less
    lines[65] = lines[64]  # s3 has a time twice
    source.write_text("\n".join(lines))
    score(source, tmp_path / "out.parquet")
    assert [row["prediction"] for row in rows(tmp_path / "out.parquet")] == [None] * 4
    assert [tuple(fault.values()) for fault in faults(tmp_path / "out.parquet")] == [
        ("6", "s0", "a finite number in column x1", "warm"),
        ("26", "s1", "a finite number in column x0", "a row of 5 values, where the header has 4"),
        ("42", "s2", "20 time steps × 2 features", "19 time steps"),
        ("62", "s3", "every time once in a sequence", "3 again"),
    ]


def test_rows_of_a_sequence_are_put_in_order_of_time(tmp_path, score, rows):
    table = long(draw(30))
    random = np.random.default_rng(0)
    shuffled = np.concatenate([20 * i + random.permutation(20) for i in range(30)])
    dates = [f"2026-01-{int(time) + 1:02}" for time in table["time"].to_numpy()]
    mixed = table.set_column(1, "day", pa.array(dates)).take(pa.array(shuffled))
    score(write_parquet(tmp_path / "a.parquet", table, rows=47), tmp_path / "a-out.parquet")
    score(write_parquet(tmp_path / "b.parquet", mixed, rows=47), tmp_path / "b-out.parquet", "--time", "day")
    assert rows(tmp_path / "a-out.parquet") == rows(tmp_path / "b-out.parquet")


def test_a_long_table_whose_ids_come_again_is_refused(tmp_path, score):
    table = long(draw(30))
    again = pa.concat_tables([table, table.slice(40, 20)])
    said = score(write_parquet(tmp_path / "in.parquet", again, rows=100), tmp_path / "out.parquet")
    assert said == (
        "error: expected the rows of each sequence to stand together, received id s2 again after others: "
        "sort the table by id"
    )
    assert not (tmp_path / "out.parquet").exists()


def test_a_sequence_that_the_model_fails_on_does_not_take_others_along(tmp_path, score, rows):
    lengths = {"lengths": {"min": 3, "max": 3}}
    write_model(tmp_path / "models", "failing", graph=failing_model(), declare=lengths)
    write_model(tmp_path / "models", "huge", graph=mean_model(scale=1e30), declare=lengths)
    sequences = [np.full((3, 2), value, np.float32) for value in (0, 1, 1e10, 2)]
    source = write_parquet(tmp_path / "in.parquet", lists(sequences))
    for name, expected in (("failing", [0, 0, None, 0]), ("huge", [0, 1e30, None, 2e30])):
        out = tmp_path / f"{name}.parquet"
        score(source, out, "--models", tmp_path / "models", model=name)
        found = [row["prediction"] for row in rows(out)]
        assert found == [None if value is None else pytest.approx(value) for value in expected]
        assert [(fault["row"], fault["id"]) for fault in faults(out)] == [("4", "s2")]


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"x0": [1.0]}, (), "expected one column x1, received x0"),
        (
            {"x0": [1.0], "x1": [1.0], "time": [1]},
            (),
            "expected a column id (--id names another), as x0 has one number",
        ),
        ({"x0": [1.0], "x1": [1.0], "id": [1]}, ("--time", "hour"), "expected one column hour, received x0, x1, id"),
        ({"x0": [[[1.0]]], "x1": [[[1.0]]]}, (), "expected numbers in column x0, received list<element: list<element"),
        (
            {"x0": [1.0], "x1": [1.0]},
            ("--version", "7"),
            "expected a model planted-before/7 in models, received planted",
        ),
    ],
)
def test_a_table_that_is_not_for_the_model_is_refused_at_once(tmp_path, score, columns, options, expected):
    said = score(write_parquet(tmp_path / "in.parquet", pa.table(columns)), tmp_path / "out.parquet", *options)
    assert said.startswith(f"error: {expected}")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_files_of_other_kinds_and_pickles_are_refused(tmp_path, score):
    out = tmp_path / "out.parquet"
    assert (
        score(tmp_path / "in.txt", out) == f"error: expected a .parquet, .csv or .npz file, received {tmp_path}/in.txt"
    )
    assert score(tmp_path / "in.csv", tmp_path / "out.txt").startswith("error: expected to write a .parquet, .csv")
    np.savez(tmp_path / "in.npz", sequences=np.array([[[{}]]], object))
    assert score(tmp_path / "in.npz", out).startswith("error: expected sequences of 3 axes of numbers in C order")
    (tmp_path / "in.csv").write_text("id,time,x0,x1,x1\n")
    assert score(tmp_path / "in.csv", out) == "error: expected one column x1, received id, time, x0, x1, x1"
    (tmp_path / "in.csv").write_text("id,time,x0,x1\n")
    assert score(tmp_path / "in.csv", out).startswith("error: expected at least one sequence, received an empty table")
    (tmp_path / "in.csv").write_bytes(b"id,time,x0,x1\n" + b"a,1,1,1\n" * 3000 + b"\xff,1,1,1\n")
    assert score(tmp_path / "in.csv", out).startswith(f"error: expected to read {tmp_path}/in.csv and write {out}, rec")
    out = tmp_path / "other.parquet"
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    assert score(tmp_path / "bad.parquet", out).startswith(f"error: expected to read {tmp_path}/bad.parquet, received")
    np.savez(tmp_path / "in.npz", sequences=np.zeros((1, 20, 2)))
    assert score(tmp_path / "in.npz", out, model="dates").startswith("error: expected a .parquet or .csv file of texts")


def test_what_is_there_already_is_not_written_over(tmp_path, score):
    source = write_parquet(tmp_path / "in.parquet", lists(draw(3)))
    assert "3 sequences" in score(source, tmp_path / "out.parquet")
    said = score(source, tmp_path / "out.parquet")
    assert said == f"error: expected a file that is not there yet, received {tmp_path}/out.parquet"


def test_lists_of_any_kind_of_numbers_are_read(tmp_path, score, rows):
    sequences = [np.round(10 * sequence) for sequence in draw(5)]
    score(write_parquet(tmp_path / "a.parquet", lists(sequences)), tmp_path / "a-out.parquet")
    for i, kind in enumerate((pa.list_(pa.int64(), 20), pa.large_list(pa.float64()), pa.list_(pa.decimal128(9, 2)))):
        x0, x1 = (pa.array([sequence[:, k].astype(int).tolist() for sequence in sequences], kind) for k in range(2))
        table = pa.table({"id": pa.array([f"s{i}" for i in range(5)]).dictionary_encode(), "x0": x0, "x1": x1})
        score(write_parquet(tmp_path / f"{i}.parquet", table), tmp_path / f"{i}-out.parquet")
        assert rows(tmp_path / f"{i}-out.parquet") == rows(tmp_path / "a-out.parquet")


def test_texts_are_read_and_written(tmp_path, score, rows):
    texts = ["Dienstag, 3. Mai 2016", "", "3 May 2016", "12. Juli 1999"]
    source = write_csv(tmp_path / "in.csv", pa.table({"id": list("abcd"), "typed": texts}))
    said = score(source, tmp_path / "out.parquet", model="dates")
    assert said.startswith("error: expected one column source, received id, typed")
    score(source, tmp_path / "out.parquet", "--text", "typed", model="dates")
    found = rows(tmp_path / "out.parquet")
    assert [row["prediction"] for row in found] == ["2016-05-03", None, "2016-05-03", "1999-07-12"]
    assert [len(weights) for weights in found[0]["attention"]] == [len(texts[0])] * 10
    assert sum(found[3]["attention"][0]) == pytest.approx(1, abs=1e-5)
    assert [(fault["row"], fault["id"], fault["received"]) for fault in faults(tmp_path / "out.parquet")] == [
        ("3", "b", "nothing")
    ]
    score(source, tmp_path / "out.csv", "--text", "typed", model="dates")
    with (tmp_path / "out.csv").open(newline="") as file:
        weights = json.loads(next(csv.DictReader(file))["attention"])
    np.testing.assert_allclose(weights, found[0]["attention"], atol=1e-6)
    assert "expected --no-attention" in score(source, tmp_path / "out.npz", "--text", "typed", model="dates")
