"""A file scored on this machine: one thread reads and cuts, as many as there are cores run the model.

ONNX Runtime and Arrow let the other threads go on meanwhile, and one session serves them all.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from service.score.chunks import starts, to_chunk
from service.score.columns import Columns, plain
from service.score.parts import Parts
from service.score.repeats import Repeats
from service.score.scorer import Scorer
from service.score.sources import Piece, Source


def score(source: Source, scorer: Scorer, parts: Parts, cores: int) -> Iterator[int]:
    """Makes the parts that are not done yet; yields how far it is, of `source.size`."""
    columns = source.columns
    repeats = Repeats(columns.id) if columns.layout == "long" and columns.id is not None else None
    waiting: deque[tuple[Future[None], int]] = deque()
    with ThreadPoolExecutor(cores) as pool:
        for piece in source.pieces():
            if repeats is not None:
                ids = plain(piece.table[columns.id])
                repeats.add(ids.take(starts(ids)))
            if piece.name not in parts.done:
                waiting.append((pool.submit(_score, piece, columns, scorer, parts), piece.position))
            if len(waiting) > cores + 1:  # so that memory is bounded
                yield _wait(waiting)
        while waiting:
            yield _wait(waiting)


def _score(piece: Piece, columns: Columns, scorer: Scorer, parts: Parts) -> None:
    table, faults = scorer.score(to_chunk(piece.table, piece.rows, columns))
    parts.write(piece.name, table, faults)


def _wait(waiting: deque[tuple[Future[None], int]]) -> int:
    future, position = waiting.popleft()
    future.result()
    return position
