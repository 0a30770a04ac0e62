"""What is drawn of a text and of its answer: of a long one, the characters around the heaviest weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.arrays import FloatArray
from service.explanations.charts.words import count, percent
from service.explanations.record import Explanation

LEAST = 0.005  # a weight below is drawn as none: a cell less, of many
COLUMNS = 80  # characters of a text that are drawn, with the dots for those that are not
ROWS, LEAST_ROWS = 80, 16  # characters of an answer that are drawn, and of one of many answers
AROUND = 3, 2, 1, 0  # characters on either side of a heavy one, the fewer the more heavy ones there are


@dataclass(frozen=True)
class Drawn:
    """What is drawn of the weights of a text.

    Attributes:
        text: what was read, of which `columns` are drawn.
        answer: what was written, of which the first `rows` characters are drawn.
        weights: `(out_time, in_time)`, all 0 of a model without attention.
        columns: places in the text, in order.
        gaps: the first place of each stretch that is left out: the dots stand there.
    """

    text: str
    answer: str
    weights: FloatArray
    columns: list[int]
    gaps: list[int]
    rows: int

    def heaviest(self) -> list[tuple[int, int]]:
        """The row and the column of the heaviest cell of each row, of those that are drawn."""
        if not self.weights.any():
            return []
        best = enumerate(self.weights[: self.rows].argmax(axis=1).tolist())
        return [(row, column) for row, column in best if column in self.columns]

    def left_out(self) -> str:
        """What is not drawn, in words; empty where all is."""
        hidden, told = np.delete(self.weights[: self.rows], self.columns, axis=1), []
        if hidden.shape[1]:
            told.append(f"dots: {hidden.shape[1]} of {len(self.text)} characters read are left out")
        if hidden.any():
            lost = self.rows - len(self.heaviest())
            told[0] += f", none of them with more than {percent(float(hidden.max()))} of a row"
            told += [f"the heaviest cell of {count(lost, 'row')} is among them"] if lost else []
        if self.rows < len(self.answer):
            told.append(f"the first {self.rows} of {len(self.answer)} characters written are drawn")
        return "; ".join(told)


def choose(explanation: Explanation, index: int, of: int = 1) -> Drawn:
    """What is drawn of a text.

    Args:
        of: how many texts are drawn above each other; of many, fewer rows each.
    """
    text, answer = (explanation.texts or [])[index], (explanation.answers or [])[index]
    empty = np.zeros((len(answer), len(text)), np.float32)
    weights = empty if explanation.attention is None else explanation.attention[index]
    rows = min(len(answer), max(LEAST_ROWS, ROWS // of))
    columns = _columns(weights[:rows])
    return Drawn(text, answer, weights, columns, _gaps(columns, len(text)), rows)


def _columns(weights: FloatArray) -> list[int]:
    """Which columns of `(out_time, in_time)` there is room for: those of the heaviest cell of each row first, then the
    other heavy ones, each with its neighbours.
    """
    length, heaviest = weights.shape[1], weights.max(axis=0, initial=0)
    if length <= COLUMNS:
        return list(range(length))
    if not weights.any():
        return list(range(COLUMNS - 1))
    first = sorted(set(weights.argmax(axis=1).tolist()), key=lambda column: -heaviest[column])
    others = [column for column in np.argsort(-heaviest, kind="stable")[:COLUMNS].tolist() if heaviest[column] >= LEAST]
    for around in AROUND:
        kept = _with_neighbours([*first, *others], around, length)
        if kept.issuperset(first):
            break
    alone = {place for place in _gaps(kept, length) if place + 1 in kept or place + 1 == length}
    return sorted(kept | alone)  # dots would take as much room


def _with_neighbours(places: Sequence[int], around: int, length: int) -> set[int]:
    """As many of the places, the first first, as there is room for with so many neighbours on either side."""
    kept: set[int] = set()
    for place in places:
        more = kept.union(range(max(0, place - around), min(length, place + around + 1)))
        if len(more) + len(_gaps(more, length)) <= COLUMNS:
            kept = more
    return kept


def _gaps(columns: Iterable[int], length: int) -> list[int]:
    """The first place of each stretch of a text of this length that is not among the columns."""
    kept = set(columns)
    starts = [0, *(column + 1 for column in sorted(kept))]
    return [place for place in starts if place < length and place not in kept]
