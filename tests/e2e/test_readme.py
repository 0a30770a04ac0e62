"""The README's requests answer as printed."""

import json
import re
import subprocess

import pytest

from tests.serving import ROOT, serving

EACH_TIME_ANEW = {"id", "created", "url", "request_id"}
REQUESTS = re.findall(
    r"```sh\n((?:curl|ID=).*?)```\n\n```json\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL
)


def same(found, printed):
    if isinstance(printed, dict):
        assert found.keys() == printed.keys()
        for key in printed.keys() - EACH_TIME_ANEW:
            same(found[key], printed[key])
    elif isinstance(printed, list):
        assert len(found) == len(printed)
        for one, other in zip(found, printed, strict=True):
            same(one, other)
    elif isinstance(printed, float):
        assert found == pytest.approx(printed, abs=1e-5)
    else:
        assert found == printed


def test_every_request_answers_as_printed(tmp_path):
    assert len(REQUESTS) == 4
    with serving(store=f"sqlite:{tmp_path / 'x.sqlite3'}") as running:
        for command, printed in REQUESTS:
            script = command.replace("http://127.0.0.1:8000", running.url)
            answer = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
            same(json.loads(answer), json.loads(printed))
