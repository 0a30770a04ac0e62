"""A file scored on this machine: one thread reads and cuts, as many as there are cores run the model.

ONNX Runtime and Arrow let the other threads go on meanwhile, and one session serves them all.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from service.models.loading import Model
from service.score.chunks import starts
from service.score.columns import Columns, plain
from service.score.parts import Parts, write_part
from service.score.repeats import Repeats
from service.score.scorer import Scorer
from service.score.sources import Piece, Source
from service.score.texts import TextScorer

AnyScorer = Scorer | TextScorer


def score(source: Source, scorer: AnyScorer, parts: Parts, cores: int) -> Iterator[int]:
    """Makes the parts that are not done yet; yields how far it is, of `source.size`."""
    columns = source.columns
    repeats = Repeats(columns.id) if columns.layout == "long" and columns.id is not None else None
    waiting: deque[tuple[Future[None], Piece]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for piece in source.pieces():
            if repeats is not None:
                ids = plain(piece.table[columns.id])
                repeats.add(ids.take(starts(ids)))
            if piece.name not in parts.done:
                waiting.append((pool.submit(score_piece, piece, columns, scorer, parts.folder), piece))
            if len(waiting) > cores + 1:  # so that memory is bounded
                yield _wait(waiting, parts)
        while waiting:
            yield _wait(waiting, parts)


def make_scorer(model: Model, attention: bool) -> AnyScorer:
    """What predicts with a model of numbers or of text."""
    return Scorer(model, attention) if model.codec is None else TextScorer(model, model.codec, attention)


def score_piece(piece: Piece, columns: Columns, scorer: AnyScorer, folder: Path) -> None:
    """Makes a piece into a part in the folder."""
    table, faults = scorer.score(piece.table, piece.rows, columns)
    write_part(folder, piece.name, table, faults)


def _wait(waiting: deque[tuple[Future[None], Piece]], parts: Parts) -> int:
    future, piece = waiting.popleft()
    future.result()
    parts.done.add(piece.name)
    return piece.position
