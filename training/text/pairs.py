"""Pairs of texts, one to be turned into the other: dates of many countries into ISO dates, or the user's own file."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from service.manifest import END, PAD, UNKNOWN, Vocabulary
from training.data.datasets import SPLIT_SEED
from training.data.frames import read_frame
from training.data.samples import PARTS, refuse
from training.data.tables import SPLIT, fingerprint

LOCALES = ["de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "sv", "tr"]
FORMATS = [  # of babel, with y and not YYY, which would be the year of the week; numbers alone only where unambiguous
    "d MMMM y",
    "d MMM y",
    "MMMM d, y",
    "MMM d, y",
    "EEEE, d MMMM y",
    "EEE d MMM y",
    "y MMMM d",
    "dd.MM.y",
    "y/MM/dd",
    "long",
    "full",
]
FIRST_DAY, DAYS = date(1900, 1, 1), 73_049  # to 2099
FEWEST = 10  # pairs of a user's file


@dataclass(frozen=True)
class Texts:
    """Pairs of texts.

    Attributes:
        evidence: for each pair, characters of the target (start, stop) and those of the source that decide them, where
            the data were made so.
    """

    sources: list[str]
    targets: list[str]
    evidence: list[tuple[tuple[int, int], tuple[int, int]]] | None = None

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class Pairs:
    """A task from text to text: three splits, and where they come from."""

    name: str
    source: str
    train: Texts
    validation: Texts
    test: Texts

    def __str__(self) -> str:
        """In one line, for people."""
        counts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test pairs"
        first = f"{self.train.sources[0]!r} → {self.train.targets[0]!r}"
        return f"{self.name}: {counts} of up to {_longest(self.train.sources)} characters, as {first}"

    def vocabulary(self) -> Vocabulary:
        """The characters of the training part."""
        inputs, outputs = (sorted(set("".join(texts))) for texts in (self.train.sources, self.train.targets))
        return Vocabulary(input=["<pad>", "<unk>", *inputs], output=["<end>", "<start>", *outputs])


class PairsOptions(BaseModel):
    """How to read a file of pairs; kept in run.json, so that it is read the same way again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(default="source", description="column of the texts to read")
    target: str = Field(default="target", description="column of the texts to write")
    test_share: float = Field(default=0.1, gt=0, lt=0.5, description="of all pairs, if no column split says it")
    validation_share: float = Field(default=0.1, gt=0, lt=0.5, description="of all pairs, if no column split says it")
    sha256: str | None = Field(default=None, description="of the file that was fitted; another one is refused")


def encode(texts: list[str], vocabulary: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts as ids `(text, time)` int32, padded on the right, and their lengths `(text,)` int32."""
    ids = {character: i for i, character in enumerate(vocabulary)}
    lengths = np.array([len(text) for text in texts], np.int32)
    encoded = np.full((len(texts), int(lengths.max())), PAD, np.int32)
    for row, text in zip(encoded, texts, strict=True):
        row[: len(text)] = [ids.get(character, UNKNOWN) for character in text]
    return encoded, lengths


def decode(ids: np.ndarray, vocabulary: list[str]) -> list[str]:
    """The texts that `ids (text, out_time)` stand for, each up to its first END."""
    ends = [row.index(END) if END in row else len(row) for row in ids.tolist()]
    return ["".join(vocabulary[i] for i in row[:end]) for row, end in zip(ids.tolist(), ends, strict=True)]


def dates(n: int = 25_000, seed: int = 0) -> Pairs:
    """Days from 1900 to 2099 as twelve languages write them, in eleven formats, into ISO 8601 (`2016-05-03`).

    The names of months and days are those of the Unicode CLDR, as shipped with babel. A third of the texts is in lower
    case. A day stands in one part only, so that no string of the test part was seen in training.

    Args:
        n: pairs to fit on, a tenth of them for validation; a fifth as many are made for the test.

    Raises:
        ValueError: n is too small.
    """
    if n < FEWEST:
        raise ValueError(f"expected n of at least {FEWEST}, received {n}")
    random = np.random.default_rng(seed)
    days = random.permutation(DAYS)
    parts = np.split(days, [DAYS * 7 // 10, DAYS * 8 // 10])
    counts = (n - n // 10, n // 10, n // 5)
    train, validation, test = (_draw_dates(part, count, random) for part, count in zip(parts, counts, strict=True))
    source = f"{n} dates in {len(LOCALES)} languages and {len(FORMATS)} formats, from babel, seed {seed}"
    return Pairs("dates", source, train, validation, test)


def _draw_dates(days: np.ndarray, count: int, random: np.random.Generator) -> Texts:
    """Different strings of days `(day,)`, counted from `FIRST_DAY`."""
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        day = FIRST_DAY + timedelta(days=int(random.choice(days)))
        text = write_date(day, FORMATS[random.integers(len(FORMATS))], LOCALES[random.integers(len(LOCALES))])
        pairs[text.lower() if random.random() < 1 / 3 else text] = day.isoformat()
    years = [re.search(r"\d{4}", text) for text in pairs]
    evidence = [((0, 4), found.span()) for found in years if found]
    return Texts(list(pairs), list(pairs.values()), evidence)


def write_date(day: date, format: str, locale: str) -> str:
    """A day as people of a country write it. `format`: one of `FORMATS`."""
    from babel.dates import format_date

    return format_date(day, format, locale).replace("\u202f", " ").replace("\xa0", " ")


def load_pairs(path: Path, options: PairsOptions) -> Pairs:
    """Reads a table with a column of sources and one of targets (CSV or Parquet).

    The same source always comes into the same part.

    Raises:
        ValueError: something in the file is not as expected; says what, and in which row and column.
        OSError: the file cannot be read.
    """
    if options.sha256 is not None and options.sha256 != fingerprint(path):
        raise ValueError(f"expected the file that was fitted, received one changed since then: {path}. Fit again")
    frame = read_frame(path)
    for name in (options.source, options.target):
        if name not in frame:
            raise ValueError(f"expected a column {name}, received {', '.join(frame.columns)}")
        refuse(frame[name].isna(), f"expected a text in column {name}", frame[name])
    sources, targets = frame[options.source].astype("str"), frame[options.target].astype("str")
    firsts = targets.groupby(sources.to_numpy()).transform("first")
    refuse(firsts.to_numpy() != targets.to_numpy(), "expected the same target wherever a source occurs again", targets)
    unique = ~sources.duplicated()
    if unique.sum() < FEWEST:
        raise ValueError(f"expected at least {FEWEST} different sources, received {unique.sum()}")
    parts = _parts(frame, unique, options)
    split = {part: _take(sources[parts == part], targets[parts == part]) for part in PARTS}
    return Pairs(path.stem, f"{path.name} (pairs of texts)", split["train"], split["validation"], split["test"])


def _parts(frame: pd.DataFrame, unique: pd.Series, options: PairsOptions) -> pd.Series:
    """The part of each row, from the column `split` or at random; nothing for a source seen before."""
    if SPLIT in frame:
        parts = frame[SPLIT]
        refuse(~parts.isin(PARTS), f"expected {', '.join(PARTS)} in column {SPLIT}", parts)
        firsts = parts.groupby(frame[options.source].to_numpy()).transform("first")
        refuse(firsts != parts, f"expected a source in one {SPLIT} only", frame[options.source])
        for part in PARTS:
            if not (parts == part).any():
                raise ValueError(f"expected pairs for {part} in column {SPLIT}, received none")
        return parts.where(unique)
    count = int(unique.sum())
    test, validation = (max(1, round(share * count)) for share in (options.test_share, options.validation_share))
    drawn = np.repeat(PARTS, [count - test - validation, validation, test])
    parts = pd.Series(None, frame.index, dtype="object")
    parts[unique] = np.random.default_rng(SPLIT_SEED).permutation(drawn)
    return parts


def _take(sources: pd.Series, targets: pd.Series) -> Texts:
    return Texts(sources.tolist(), targets.tolist())


def _longest(texts: list[str]) -> int:
    return max(map(len, texts))
