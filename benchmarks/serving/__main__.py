"""Measures the server beside the bare runtime and beside what most people write. See benchmarks/README.md.

python -m benchmarks.serving --cases single,batch64 --repeats 3 --seconds 3
"""

import argparse
import os
import sys
from pathlib import Path

from benchmarks.serving.cases import STEADY
from benchmarks.serving.measured import BenchmarkError
from benchmarks.serving.report import Outcome, markdown
from benchmarks.serving.servers import pin
from benchmarks.serving.steady import steady


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(STEADY), help=f"out of {', '.join(STEADY)}; default: all")
    parser.add_argument("--repeats", type=int, default=5, help="how often the ways take turns")
    parser.add_argument("--seconds", type=float, default=5, help="of each turn")
    parser.add_argument("--out", type=Path, help="folder for serving.md and serving.svg; default: print only")
    arguments = parser.parse_args()
    arguments.cases = arguments.cases.split(",")
    if unknown := set(arguments.cases) - set(STEADY):
        parser.error(f"expected cases out of {', '.join(STEADY)}, received {', '.join(sorted(unknown))}")
    return arguments


def main() -> int:
    """Measures the cases asked for; returns the exit status."""
    arguments = parse()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError("expected two cores, one for the server and one for the load; received one")
    server_core, load_core = cores[:2]
    pin(load_core)
    outcomes: list[Outcome] = []
    for name in arguments.cases:
        outcomes.append(steady(STEADY[name], arguments.repeats, arguments.seconds, server_core, {}))
        print(f"{name}: done", file=sys.stderr)
    how = f"{arguments.repeats} repeats of {arguments.seconds:g} s; the server on core {server_core}, the load on core {load_core}."
    text = markdown(outcomes, how)
    print(text)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "serving.md").write_text(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
