"""The committed models made again, several at a time: a process each, whose output goes to a log.

A small LSTM keeps one core busy, and gains next to nothing from a second: so there are as many processes as cores, and
each computes in one thread.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def make_all(names: list[str], models: Path, runs: Path, console: Console) -> dict[str, Path]:
    """Runs `python -m training examples NAME` for each name; a failure of one does not stop the others.

    Args:
        names: of recipes, in the order to begin them: the longest first, or it would run alone in the end.
        models: folder of published models.
        runs: folder of the run folders, and of a log for each name.

    Returns:
        The logs of those that failed, by name.
    """
    runs.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("{task.fields[said]}", markup=False))
    with Progress(*columns, console=console) as progress:
        return asyncio.run(_make_all(names, models, runs, progress))


async def _make_all(names: list[str], models: Path, runs: Path, progress: Progress) -> dict[str, Path]:
    cores = asyncio.Semaphore(os.cpu_count() or 1)
    logs = {name: runs / f"{name}.log" for name in names}

    async def make(name: str) -> bool:
        command = [sys.executable, "-m", "training", "examples", name, "--models", str(models), "--runs", str(runs)]
        row = progress.add_task(name, total=1, start=False, said="waits for a core")
        async with cores:
            progress.start_task(row)
            progress.update(row, said="starts")
            succeeded = await run(command, logs[name], progress, row)
        minutes, seconds = divmod(round(progress.tasks[row].elapsed or 0), 60)
        said = "made in" if succeeded else "failed after"
        progress.console.print(f"{name}: {said} {minutes}:{seconds:02}; its log is {logs[name]}", soft_wrap=True)
        return succeeded

    succeeded = await asyncio.gather(*map(make, names))
    return {name: logs[name] for name, good in zip(names, succeeded, strict=True) if not good}


async def run(command: list[str], log: Path, progress: Progress, row: TaskID) -> bool:
    """Runs a command into its log, its latest line in the row; returns whether it succeeded."""
    with log.open("wb", buffering=0) as kept:
        environment = os.environ | ONE_THREAD
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=kept, env=environment)
        try:
            async for line in cast(asyncio.StreamReader, process.stdout):
                kept.write(line)
                progress.update(row, said=line.decode().strip())
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            raise
    progress.update(row, completed=1)
    return code == 0
