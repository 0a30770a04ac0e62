"""A new user's first minutes: a clone, `make serve`, a prediction. Only Python and make are there."""

import os
import re
import signal
import subprocess
import time

import httpx
import pytest

from tests.serving import ROOT

NAMES = {"dates", "italy-power", "japanese-vowels", "planted-after", "planted-before", "tecator"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a clone of the present working tree would hold."""
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    folder.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(
        ["tar", "--create", "--null", "--files-from=-", f"--file={folder}.tar"],
        cwd=ROOT,
        input=listed.stdout,
        check=True,
    )
    subprocess.run(["tar", "--extract", f"--file={folder}.tar"], cwd=folder, check=True)
    return folder


def make_serve(clone, limit_s):
    """Runs `make serve PORT=0` until it greets, predicts, and presses Ctrl-C; returns what it printed after that."""
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "serve", "PORT=0"],
        cwd=clone,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as make:
        try:
            printed = ""
            while not (found := re.search(r"Serving .* at (http://127\.0\.0\.1:\d+)", printed)):
                line = make.stdout.readline()
                assert line, printed
                printed += line
            assert time.monotonic() - started < limit_s
            listed = httpx.get(f"{found[1]}/models").json()["models"]
            assert {model["manifest"]["name"] for model in listed} == NAMES
            os.killpg(make.pid, signal.SIGINT)  # as a terminal does
            rest = make.stdout.read()
            make.wait(10)
            return rest
        finally:
            if make.poll() is None:
                os.killpg(make.pid, signal.SIGKILL)


def test_make_serve_sets_up_and_serves_then_starts_at_once(clone):
    first = make_serve(clone, limit_s=120)
    again = make_serve(clone, limit_s=20)  # nothing is installed again
    for rest in (first, again):
        assert "Traceback" not in rest
        assert "Error" not in rest


def test_the_servers_install_is_small_and_holds_no_tensorflow(clone):
    installed = [path for path in (clone / ".venv").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in installed) < 600e6  # 150 of it are pyarrow, for Parquet
    assert not list((clone / ".venv").glob("lib/*/site-packages/tensorflow*"))
    assert not list((clone / ".venv").glob("lib/*/site-packages/keras*"))


def test_no_registry_is_named():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    hosts = re.compile(rb"pypi\.|pythonhosted|registry\.npm|files\.python|docker\.io|ghcr\.io|index-url\s*=?\s*http")
    named = [
        name
        for name in listed
        if name and name != b"tests/e2e/test_fresh_clone.py" and hosts.search((ROOT / name.decode()).read_bytes())
    ]
    assert named == []
