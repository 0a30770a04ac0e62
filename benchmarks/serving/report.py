"""What was found, as Markdown: what must be shown first, then the numbers behind it."""

import math
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.serving.measured import Measured
from benchmarks.serving.servers import ROOT

PACKAGES = ["onnxruntime", "numpy", "fastapi", "pydantic", "uvicorn", "uvloop", "httptools"]
FIGURES = ["case", "way", "sequences/s", "requests/s", "p50 ms", "p99 ms", "max ms", "CPU µs/sequence"]
Found = dict[str, list[Measured]]  # by the way measured, one for each repeat


@dataclass(frozen=True)
class Finding:
    """Something that is held.

    Attributes:
        value: in `unit`; a ratio where that is empty.
        least, most: the bound; None where there is none.
        remark: what else a reader should know.
    """

    what: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = ""
    remark: str = ""

    @property
    def bound(self) -> str:
        """In words."""
        if self.least is not None:
            return f"at least {_short(self.least)}{self.unit}"
        return "" if self.most is None else f"at most {_short(self.most)}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether the bound is kept."""
        if self.least is None and self.most is None:
            return ""
        below = self.least is not None and self.value < self.least
        above = self.most is not None and self.value > self.most
        return "**no**" if below or above else "yes"


@dataclass(frozen=True)
class Point:
    """A point of a picture: what a request of that size takes, in milliseconds."""

    panel: str
    size: int
    way: str
    p50: float


@dataclass(frozen=True)
class Outcome:
    """What a case found."""

    title: str
    findings: list[Finding]
    found: Found = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)


def markdown(outcomes: list[Outcome], how: str) -> str:
    """The tables, with the facts of the machine."""
    return "\n".join(["# Serving", "", *facts(), f"- {how}", "", tables(outcomes)])


def tables(outcomes: list[Outcome]) -> str:
    """What is held; the figures; the points of the growth."""
    findings = [
        [outcome.title, each.what, f"{_short(each.value)}{each.unit}", each.bound, each.verdict, each.remark]
        for outcome in outcomes
        for each in outcome.findings
    ]
    figures = [
        [outcome.title, way, *map(_short, medians(repeats))]
        for outcome in outcomes
        for way, repeats in outcome.found.items()
    ]
    lines = _table(["case", "", "found", "must be", "shown", "remark"], findings)
    if figures:
        lines += ["", "The figures, medians of the repeats:", "", *_table(FIGURES, figures)]
    for outcome in outcomes:
        if outcome.points:
            lines += ["", "Growth, p50 of a request in ms:", "", *_growth(outcome.points)]
    return "\n".join(lines) + "\n"


def medians(repeats: list[Measured]) -> list[float]:
    """The median of each figure, in the order of `Measured`."""
    return [float(np.median([getattr(each, figure.name) for each in repeats])) for figure in fields(Measured)]


def _growth(points: list[Point]) -> list[str]:
    ways = list(dict.fromkeys(point.way for point in points))
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for point in points:
        rows.setdefault((point.panel, point.size), {})[point.way] = point.p50
    cells = [
        [panel, f"{size:,}", *(_short(found.get(way, math.nan)) for way in ways)]
        for (panel, size), found in rows.items()
    ]
    return _table(["", "", *ways], cells)


def _table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]


def facts() -> list[str]:
    """What was measured, where and when."""
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return [
        f"- {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}",
        f"- {_cpu()}, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in PACKAGES)}",
    ]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.machine()


def _short(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
