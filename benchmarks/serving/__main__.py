"""Measures the server beside the bare runtime and beside what most people write. See benchmarks/README.md.

python -m benchmarks.serving --cases single,batch64 --repeats 3 --seconds 3
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from benchmarks.serving.cases import CASES, STEADY
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.pictures import cases_chart, growth_chart
from benchmarks.serving.plan import Plan
from benchmarks.serving.report import Outcome, markdown, tables
from benchmarks.serving.servers import pin
from service.explanations.charts.rendering import svg


def main() -> int:
    """Measures the cases asked for; returns the exit status."""
    arguments = parse()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError("expected two cores, one for the server and one for the load; received one")
    options = shlex.split(arguments.options)
    plan = Plan(arguments.repeats, arguments.seconds, cores[0], cores[1], options, dict(arguments.peer))
    pin(plan.load)
    outcomes = {}
    for name in arguments.cases:
        started = time.monotonic()
        outcomes[name] = CASES[name](plan)
        print(f"{name}, {time.monotonic() - started:.0f} s\n\n{tables([outcomes[name]])}", file=sys.stderr)
    how = f"{plan.repeats} repeats of {plan.seconds:g} s; server on core {plan.server}, load on core {plan.load}"
    how += f"; ours with {arguments.options}" if options else ""
    text = markdown(list(outcomes.values()), how)
    print(text)
    if arguments.out:
        write(arguments.out, text, outcomes)
    return 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=_cases, default=list(CASES), help=f"out of {', '.join(CASES)}; default: all")
    parser.add_argument("--repeats", type=int, default=10, help="how often the ways take turns (default: 10)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a turn (default: 1.5)")
    parser.add_argument("--options", default="", help='of our server, such as "--max-batch 256"')
    parser.add_argument("--peer", type=_peer, action="append", default=[], help="NAME=URL of another server")
    parser.add_argument("--out", type=Path, help="folder for the table and the pictures; default: print only")
    return parser.parse_args()


def _cases(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(CASES)):
        raise argparse.ArgumentTypeError(f"expected cases out of {', '.join(CASES)}; received {', '.join(unknown)}")
    return names


def _peer(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not equals or not url.startswith("http://"):
        raise argparse.ArgumentTypeError(f"expected NAME=http://..., received {text}")
    return name, url


def write(folder: Path, text: str, outcomes: dict[str, Outcome]) -> None:
    """Writes serving.md, and serving.svg and growth.svg where there is something to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serving.md").write_text(text)
    steady = [outcome for name, outcome in outcomes.items() if name in STEADY]
    if steady:
        (folder / "serving.svg").write_text(svg(cases_chart(steady)))
    if "growth" in outcomes:
        (folder / "growth.svg").write_text(svg(growth_chart(outcomes["growth"].points)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]))
