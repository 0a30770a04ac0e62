"""A Parquet file scored on a Ray cluster: its row groups are shared out, and every node writes its parts itself.

So all nodes see the input, the model and the folder of the output under the same paths, and have this package.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from service.errors import StartupError
from service.score.local import AnyScorer, make_scorer, score_piece
from service.score.parts import Parts
from service.score.repeats import Repeats
from service.score.scorer import load_model
from service.score.sources import ParquetSource, Source
from service.settings import Provider

if TYPE_CHECKING:
    import ray.data


@dataclass(frozen=True)
class Job:
    """What a node needs to know.

    Attributes:
        model: folder of the model.
        parts: folder of the parts.
        done: names of the parts that are there already.
    """

    source: ParquetSource
    model: Path
    provider: Provider
    attention: bool
    parts: Path
    done: frozenset[str]


def score(source: Source, model: Path, provider: Provider, attention: bool, parts: Parts) -> Iterator[int]:
    """Makes the parts that are not done yet; yields how many rows are through.

    Raises:
        StartupError: there is no cluster, the file is no Parquet file, or something failed on a node.
    """
    if not isinstance(source, ParquetSource):
        raise StartupError(
            "expected a .parquet file, whose row groups are shared out, received one of another kind for Ray"
        )
    source = replace(source, path=source.path.resolve())
    job = Job(source, model.resolve(), provider, attention, parts.folder.resolve(), frozenset(parts.done))
    repeats = Repeats(source.columns.id) if source.columns.layout == "long" and source.columns.id is not None else None
    ray = _connect()
    rows = 0
    try:
        for found in _run(ray, job).iter_batches(batch_size=None, batch_format="pyarrow"):
            for name, count in zip(found["name"].to_pylist(), found["rows"].to_pylist(), strict=True):
                parts.done.add(name)
                if repeats is not None:
                    repeats.add(parts.table(name)["id"].combine_chunks())
                rows += count
            yield rows
    except ray.exceptions.RayError as error:
        raise StartupError(f"expected the cluster to score {source.path}, received: {error}") from error
    finally:
        ray.shutdown()


def score_groups(batch: pa.Table, job: Job) -> pa.Table:
    """Makes the parts of some row groups, on a node; returns their names, and how many rows of the file they are."""
    scorer = _scorer(job.model, job.provider, job.attention)
    found = []
    for group in batch["item"].to_pylist():
        source = replace(job.source, groups=range(group, group + 1))
        for piece in source.pieces():
            if piece.name not in job.done:
                score_piece(piece, source.columns, scorer, job.parts)
            found.append({"name": piece.name, "rows": len(piece.rows)})
    return pa.Table.from_pylist(found, pa.schema([("name", pa.string()), ("rows", pa.int64())]))


@lru_cache(maxsize=1)
def _scorer(model: Path, provider: Provider, attention: bool) -> AnyScorer:
    """Once for a process, which gets many row groups."""
    return make_scorer(load_model(model, provider), attention)


def _run(ray: Any, job: Job) -> "ray.data.Dataset":
    """A task for each row group, as many at a time as the cluster has cores."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # there is one already
    groups = ray.data.from_items(list(job.source.groups), override_num_blocks=len(job.source.groups))
    return groups.map_batches(score_groups, batch_size=None, batch_format="pyarrow", fn_kwargs={"job": job}, num_cpus=1)


def _connect() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when ray is imported
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise StartupError("expected Ray for --engine ray; install the extra: attention-lstm[ray]") from error
    if "RAY_ADDRESS" not in os.environ:
        raise StartupError("expected the address of a Ray cluster in RAY_ADDRESS (auto: the one on this machine)")
    try:
        ray.init(logging_level=logging.WARNING, log_to_driver=False)
    except ConnectionError as error:
        raise StartupError(f"expected a Ray cluster at {os.environ['RAY_ADDRESS']}, received: {error}") from error
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    return ray
