import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from training.__main__ import cli
from training.data import batches, stream
from training.data.batches import feed, shuffled
from training.data.datasets import Dataset, planted
from training.data.tables import TableOptions, load_table
from training.fit import FitConfig, Run, fit, load
from training.models import ModelConfig, Scaling

PARTS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks small enough that a table of a test has many of them."""
    monkeypatch.setattr(stream, "ROWS", 100)
    monkeypatch.setattr(stream, "BUCKET", 5_000)


@pytest.fixture
def write(tmp_path):
    """Writes a frame in row groups of 64 rows; returns its path."""

    def write(frame):
        frame.to_parquet(tmp_path / "own.parquet", row_group_size=64, index=False)
        return tmp_path / "own.parquet"

    return write


def long_table(sequences=200, seed=0, classes=("no", "yes"), **more):
    """A row for each of 2 to 6 steps, no two of a sequence near each other; the value x tells the sequence and step."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 7, sequences)
    ids = np.repeat(np.arange(sequences), lengths)
    times = np.concatenate([np.arange(length) for length in lengths])
    table = pd.DataFrame({"id": [f"m{i}" for i in ids], "time": times, "x": 10.0 * ids + times, "y": -times})
    table["target"] = np.array(classes)[random.integers(0, len(classes), sequences)][ids]
    return table.assign(**more).sample(frac=1, random_state=seed)


def by_part(data):
    """The sequences of each part with their targets, in an order that does not depend on that of the file."""
    parts = [getattr(data, part) for part in PARTS]
    return [
        sorted((part.sequences[i, : part.lengths[i]].tolist(), part.targets[i].item()) for i in range(len(part)))
        for part in parts
    ]


def assert_same(path, **options):
    whole = load_table(path, TableOptions(**options))
    streamed = stream.load_streamed(path, TableOptions(memory=0, **options))
    assert all(getattr(streamed, part).on_disk for part in PARTS)
    assert by_part(streamed) == by_part(whole)
    for name in ("name", "source", "task", "features", "labels", "time"):
        assert getattr(streamed, name) == getattr(whole, name)
    scaled = [Scaling.learn(d.train.sequences, d.train.lengths, d.train.targets, d.task) for d in (whole, streamed)]
    np.testing.assert_allclose(scaled[1].mean, scaled[0].mean, rtol=1e-12)
    np.testing.assert_allclose(scaled[1].variance, scaled[0].variance, rtol=1e-12)
    return streamed


def test_a_long_table_is_read_as_in_memory_whatever_the_order_of_its_rows(write):
    data = assert_same(write(long_table()))
    assert data.variable_length
    for part in PARTS:
        for sequence, length in zip(getattr(data, part).sequences, getattr(data, part).lengths, strict=True):
            assert (sequence[length:] == 0).all()


@pytest.mark.parametrize("ids", ["int64", "Int64", "category", "str", "float64", "datetime64[ns]"])
def test_ids_of_any_type_come_together(write, ids):
    table = long_table(60)
    table["id"] = table["id"].str[1:].astype("int64").astype(ids)
    blank = pd.DataFrame({name: [None] for name in table}).astype(table.dtypes.to_dict(), errors="ignore")
    assert_same(write(pd.concat([table, blank] if ids == "Int64" else [table])))


def test_a_wide_table_is_read_as_in_memory(write):
    random = np.random.default_rng(0)
    values = pd.DataFrame(random.normal(size=(300, 4)), columns=["t0", "t1", "t2", "t3"])
    table = values.assign(target=random.normal(size=300), note="text")
    assert assert_same(write(table)).task == "regression"
    assert_same(write(table.assign(id=np.arange(300)[::-1], split=random.choice(PARTS, 300))), id="id")


@pytest.mark.parametrize("impute", ["zero", "mean", "last"])
def test_missing_values_are_filled_in_as_in_memory(write, impute):
    table = long_table()
    hidden = np.random.default_rng(0).random(len(table)) < 0.2
    table.loc[hidden & (table["time"] > 0), "y"] = np.nan
    assert f"missing values filled in: {impute}" in assert_same(write(table), impute=impute).source


def test_a_column_of_text_is_left_out_unless_a_number_is_in_it(write):
    table = long_table(note="fine")
    assert assert_same(write(table)).features == ["x", "y"]
    late = table.assign(note=[None] * (len(table) - 1) + ["fine"])
    assert assert_same(write(late)).features == ["x", "y"]
    mixed = table.assign(note=["1"] * len(table))
    assert assert_same(write(mixed)).features == ["x", "y", "note"]


def test_neighbours_in_the_table_are_none_on_disk(write):
    data = stream.load_streamed(write(long_table().sort_values(["id", "time"])), TableOptions())
    ids = data.train.sequences[:, 0, 0] // 10
    assert (np.abs(np.diff(ids)) < 3).mean() < 0.4  # as buckets are by a hash of the id; in one, it would be 0.8


def fault(row, **values):
    """A table whose row of that number, as a person counts, holds other values."""
    table = long_table().reset_index(drop=True)
    for name, value in values.items():
        table[name] = table[name].astype("str") if isinstance(value, str) else table[name].astype("float64")
        table.loc[row - 2, name] = value
    return table


def twice(row):
    """A table with a copy of that row at its end."""
    table = long_table().reset_index(drop=True)
    return pd.concat([table, table.iloc[[row - 2]]])


@pytest.mark.parametrize("row", [5, 500])
@pytest.mark.parametrize(
    "table",
    [
        lambda row: fault(row, x="oops"),
        lambda row: fault(row, x=np.nan),
        lambda row: fault(row, x=np.inf),
        lambda row: fault(row, time=np.nan),
        lambda row: fault(row, target="perhaps"),
        lambda row: fault(row, target=""),
        twice,
    ],
)
def test_a_fault_is_said_with_its_row_as_in_memory(write, table, row):
    path = write(table(row))
    sentences = []
    for read in (load_table, stream.load_streamed):
        with pytest.raises(ValueError, match=r"row \d+$") as refused:
            read(path, TableOptions())
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (long_table().drop(columns="target"), "expected a column target, received id, time, x, y"),
        (long_table(classes=["no"]), "expected at least two different targets, received only no"),
        (long_table().iloc[:0], "expected at least one row of data, received an empty table"),
        (long_table()[["id", "time", "target"]], "expected a column of numbers, received columns id, time, target"),
        (long_table(split="train"), "expected sequences for train, validation and test, received 200 for train, 0"),
    ],
)
def test_what_is_wrong_with_a_whole_table_is_said(write, table, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        stream.load_streamed(write(table), TableOptions())


def test_what_takes_more_memory_than_allowed_is_streamed_and_said_to_be(write, tmp_path, capsys):
    path = write(long_table())  # 800 rows of 5 values
    assert load(str(path), TableOptions(memory=0)).train.on_disk
    assert "own.parquet: 0 MB in memory, more than --memory 0: streamed through" in capsys.readouterr().out
    assert not load(str(path), TableOptions(memory=1)).train.on_disk
    assert not stream.must_stream(tmp_path / "own.csv", TableOptions(memory=0))


def test_the_command_streams_and_ends_with_a_sentence(write):
    path = write(fault(500, x="oops"))
    result = CliRunner().invoke(cli, ["fit", str(path), "--memory", "0"])
    assert result.exit_code == 1
    assert "more than --memory 0: streamed through" in result.stdout
    assert result.stderr == "error: expected a number in column x, received oops, row 500\n"


def test_a_disk_without_room_is_said_before_anything_is_written(write, monkeypatch):
    monkeypatch.setattr(stream, "size", lambda path: 10**18)
    with pytest.raises(OSError, match=r"^expected 2,000,000,000,000 MB of disk .* TMPDIR names another folder$"):
        stream.load_streamed(write(long_table()), TableOptions())


def on_disk(split, folder):
    """The same split, its sequences a file."""
    split.sequences.tofile(folder / "sequences")
    sequences = np.memmap(folder / "sequences", np.float32, "r", shape=split.sequences.shape)
    return Dataset(sequences, split.lengths, split.targets)


@pytest.mark.parametrize("variable_length", [True, False])
def test_every_sequence_comes_once_in_an_epoch_and_each_epoch_has_its_own_order(tmp_path, monkeypatch, variable_length):
    monkeypatch.setattr(batches, "BLOCK", 200)  # five sequences
    whole = planted(200, time_steps=5, step=1).train
    split = on_disk(whole, tmp_path)
    shuffled, targets = feed(split, variable_length, 64, seed=0)
    assert targets is None
    epochs = []
    for _ in range(2):
        read = list(shuffled.as_numpy_iterator())
        assert [len(targets) for _, targets in read] == [64, 64, 32]
        assert read[0][0].keys() == ({"sequences", "lengths"} if variable_length else {"sequences"})
        epochs.append(np.concatenate([inputs["sequences"] for inputs, _ in read]))
        targets = np.concatenate([targets for _, targets in read])
        np.testing.assert_array_equal(epochs[-1][:, 1, 0], targets)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch[:, 0, 0]), np.sort(split.sequences[:, 0, 0]))
    assert (epochs[0] != epochs[1]).any()
    in_order = feed(split, variable_length, 64)[0].as_numpy_iterator()
    np.testing.assert_array_equal(np.concatenate([inputs["sequences"] for inputs, _ in in_order]), whole.sequences)


def test_blocks_are_mixed_with_blocks_from_anywhere():
    rows = shuffled(10_000, 10, np.random.default_rng(0))
    assert sorted(rows) == list(range(10_000))
    window = rows[:160]  # 16 blocks of 10
    assert np.ptp(window) > 5_000
    assert (np.abs(np.diff(window)) == 1).mean() < 0.1


def test_a_streamed_table_is_learnt_as_one_in_memory(write, tmp_path):
    data = planted(1_000, time_steps=5, step=4)
    split = data.train
    wide = pd.DataFrame(split.sequences[:, :, 0], columns=[f"t{i}" for i in range(5)])
    path = write(wide.assign(target=split.targets))
    losses = []
    for memory in (0, 500):
        folder = tmp_path / f"run-{memory}"
        config = FitConfig(epochs=15, batch_size=32, learning_rate=0.03)
        run = fit(str(path), TableOptions(memory=memory), ModelConfig(position="none", units=4), config, [0], folder)
        losses.append(run.validation_loss[0])
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    assert losses[0] < 0.3
    run = Run.read(tmp_path / "run-0")
    assert run.load_data().train.on_disk
