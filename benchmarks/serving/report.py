"""What was found, as Markdown: what must be shown first, then the numbers behind it."""

import platform
import subprocess
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.serving.measured import Measured
from benchmarks.serving.servers import ROOT

PACKAGES = ["onnxruntime", "numpy", "fastapi", "pydantic", "uvicorn", "uvloop", "httptools"]
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
            return f"at least {self.least:g}{self.unit}"
        return "" if self.most is None else f"at most {self.most:g}{self.unit}"

    @property
    def verdict(self) -> str:
        """Whether the bound is kept."""
        if self.least is None and self.most is None:
            return ""
        below = self.least is not None and self.value < self.least
        above = self.most is not None and self.value > self.most
        return "**no**" if below or above else "yes"


@dataclass(frozen=True)
class Outcome:
    """What a case found."""

    title: str
    findings: list[Finding]
    found: Found = field(default_factory=dict)


def markdown(outcomes: list[Outcome], how: str) -> str:
    """The tables, with the facts of the machine."""
    lines = [
        "# Serving",
        "",
        *facts(),
        "",
        how,
        "",
        "| case | | found | must be | shown | remark |",
        "|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        for each in outcome.findings:
            value = f"{_short(each.value)}{each.unit}"
            lines.append(f"| {outcome.title} | {each.what} | {value} | {each.bound} | {each.verdict} | {each.remark} |")
    lines += ["", "Medians of the repeats:", ""]
    lines += [
        "| case | way | sequences/s | requests/s | p50 ms | p99 ms | max ms | CPU µs/sequence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        for way, repeats in outcome.found.items():
            medians = [np.median([getattr(each, figure.name) for each in repeats]) for figure in fields(Measured)]
            lines.append(f"| {outcome.title} | {way} | " + " | ".join(map(_short, medians)) + " |")
    return "\n".join(lines) + "\n"


def facts() -> list[str]:
    """What was measured, where and when."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return [
        f"- {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip() or 'unknown'}",
        f"- {_cpu()}, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, {versions}",
    ]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else platform.machine()


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
