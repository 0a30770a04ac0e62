import functools
import operator
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from service.manifest import END, PAD, UNKNOWN
from training.text.pairs import FORMATS, LOCALES, PairsOptions, dates, decode, encode, load_pairs, write_date


def test_no_string_of_the_test_part_was_seen_and_no_day_is_in_two_parts():
    data = dates(n=2000)
    parts = [data.train, data.validation, data.test]
    assert [len(part) for part in parts] == [1800, 200, 400]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert not set(parts[one].sources) & set(parts[other].sources)
        assert not set(parts[one].targets) & set(parts[other].targets)
    assert len(set(data.test.sources)) == 400


def test_the_evidence_is_the_year():
    test = dates(n=500).test
    for source, target, ((start, stop), (first, last)) in zip(test.sources, test.targets, test.evidence, strict=True):
        assert target[start:stop] == source[first:last] == target[:4]


def test_dates_are_the_same_again_for_a_seed_and_others_for_another():
    assert dates(n=50).train == dates(n=50).train
    assert dates(n=50).train != dates(n=50, seed=1).train


def test_no_written_date_means_two_days():
    """Over every day of a leap year, in all languages and formats, also in lower case."""
    meant = {}
    for day in (date(2016, 1, 1) + timedelta(days=i) for i in range(366)):
        for locale in LOCALES:
            for format in FORMATS:
                written = write_date(day, format, locale)
                for text in (written, written.lower()):
                    assert meant.setdefault(text, day) == day, text
    assert len(meant) > 30_000


@pytest.mark.parametrize(
    ("format", "locale", "written"),
    [
        ("long", "en", "May 3, 2016"),
        ("full", "de", "Dienstag, 3. Mai 2016"),
        ("d MMM y", "fr", "3 mai 2016"),
        ("long", "ja", "2016年5月3日"),
        ("dd.MM.y", "tr", "03.05.2016"),
    ],
)
def test_dates_are_written_as_their_country_writes_them(format, locale, written):
    assert write_date(date(2016, 5, 3), format, locale) == written


def test_texts_to_ids_and_back():
    vocabulary = ["<pad>", "<unk>", "a", "b"]
    ids, lengths = encode(["ab", "b", "a?"], vocabulary)
    np.testing.assert_array_equal(ids, [[2, 3], [3, PAD], [2, UNKNOWN]])
    np.testing.assert_array_equal(lengths, [2, 1, 2])
    written = np.array([[3, 2, END, 2], [END, 2, 2, 2], [2, 2, 2, 2]])
    assert decode(written, ["<end>", "<start>", "A", "B"]) == ["BA", "", "AAAA"]


def load(tmp_path, rows, header="source,target", **options):
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return load_pairs(path, PairsOptions(**options))


ROWS = [f"s{i},t{i}" for i in range(40)]


def test_a_file_is_split_and_a_source_that_occurs_again_counts_once(tmp_path):
    data = load(tmp_path, ROWS + ROWS[:5])
    sources = [data.train.sources, data.validation.sources, data.test.sources]
    assert [len(part) for part in sources] == [32, 4, 4]
    assert sorted(functools.reduce(operator.iadd, sources, [])) == sorted(f"s{i}" for i in range(40))
    targets = dict(zip(data.test.sources, data.test.targets, strict=True))
    assert all(target == source.replace("s", "t") for source, target in targets.items())


def test_a_column_says_the_split(tmp_path):
    parts = ["train"] * 30 + ["validation"] * 6 + ["test"] * 4
    rows = [f"{row},{part}" for row, part in zip(ROWS, parts, strict=True)]
    data = load(tmp_path, rows, "source,target,split")
    assert data.test.sources == ["s36", "s37", "s38", "s39"]


def test_parquet_is_read_as_csv_is(tmp_path):
    path = tmp_path / "pairs.parquet"
    pd.DataFrame({"a": [f"s{i}" for i in range(40)], "b": [f"t{i}" for i in range(40)]}).to_parquet(path)
    of_parquet = load_pairs(path, PairsOptions(source="a", target="b"))
    assert of_parquet.test == load(tmp_path, ROWS).test


@pytest.mark.parametrize(
    ("rows", "header", "fault"),
    [
        (ROWS, "from,target", "expected a column source, received from, target"),
        (
            [*ROWS, "s3,other"],
            "source,target",
            "the same target wherever a source occurs again, received other, row 42",
        ),
        ([*ROWS, ",t"], "source,target", "expected a text in column source, received nothing, row 42"),
        ([*ROWS, "s,"], "source,target", "expected a text in column target, received nothing, row 42"),
        (ROWS[:9], "source,target", "expected at least 10 different sources, received 9"),
        ([f"{row},tset" for row in ROWS], "source,target,split", "in column split, received tset, row 2"),
        ([f"{row},train" for row in ROWS], "source,target,split", "expected pairs for validation in column split"),
        (
            [f"{row},train" for row in ROWS] + ["s0,t0,test"],
            "source,target,split",
            "expected a source in one split only, received s0, row 42",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_row(tmp_path, rows, header, fault):
    with pytest.raises(ValueError, match=fault):
        load(tmp_path, rows, header)
