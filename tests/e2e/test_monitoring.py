"""monitoring/: its alerts fire as they should, and every query of its alerts and its dashboard finds numbers.

A real Prometheus asks a real server; promtool tests the alerts (`rules.test.yml`). Grafana itself is not started: what
it knows of a dashboard is asked of the types that its makers publish, and what its container can read and reach is
tested in `test_compose.py`.
"""

import json
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager

import httpx
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.scraping import wait_until
from tests.service.graphs import write_model
from tests.serving import ROOT, serving

MONITORING = ROOT / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/attention-lstm.json").read_text())
RULES = MONITORING / "prometheus/rules.yml"
TESTED = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:", (ROOT / "tests/e2e/rules.test.yml").read_text()))
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
}


@pytest.fixture(scope="module")
def prometheus_is_there():
    for command in ("prometheus", "promtool"):
        if shutil.which(command) is None:
            pytest.fail(f"expected {command} on the PATH, of Debian's package prometheus: the real thing is run")


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that has done everything that is counted at least once: its address, and a function that asks more."""
    root = tmp_path_factory.mktemp("models")
    profile = {"kind": "softmax", "position": "before", "axes": ["time"], "profile": [0.05] * 20}
    write_model(root, attention="shared", declare={"attention": profile})
    (write_model(root, "broken") / "model.onnx").write_bytes(b"not a graph")
    with (
        serving("--default-model", "mean", models=root, store=f"sqlite:{root}.sqlite3") as running,
        httpx.Client(base_url=running.url) as client,
    ):

        def ask():
            for _ in range(8):
                answer = client.post("/predict", json={"sequences": [[[1, 2], [3, 4], [5, 6]]] * 16}).raise_for_status()
            client.get(f"/attention/{answer.json()['id']}/faithfulness").raise_for_status()
            assert client.post("/predict", json={"sequences": []}).status_code == 422

        ask()
        yield running.url, ask


@contextmanager
def prometheus(folder, target):
    """A Prometheus with our alerts that asks this target, and in more of a hurry than ours."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "attention-lstm", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # which is YAML, too
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {"config.file": folder / "prometheus.yml", "storage.tsdb.path": folder, "web.listen-address": address}
    command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.kill()


@pytest.mark.usefixtures("prometheus_is_there")
def test_the_alerts_fire_as_they_should():
    promtool("check", "config", "monitoring/prometheus/prometheus.yml")
    promtool("test", "rules", "tests/e2e/rules.test.yml")


@pytest.mark.usefixtures("prometheus_is_there")
def test_every_query_finds_numbers(server, tmp_path):
    url, ask = server
    with prometheus(tmp_path, url.removeprefix("http://")) as address, httpx.Client(base_url=address) as client:
        wait_until(lambda: client.get("/-/ready").status_code == 200)
        alerts = wait_until(lambda: alerts_of(client))
        assert alerts.keys() == TESTED
        missing = {name: whatever_the_numbers(query) for name, query in (QUERIES | alerts).items()}

        def all_are_found():
            nonlocal missing
            ask()  # or nothing would rise
            missing = {name: query for name, query in missing.items() if not finds(client, query)}
            return not missing

        try:
            wait_until(all_are_found)
        except AssertionError:
            pytest.fail(f"expected numbers, found none: {json.dumps(missing, indent=1)}")


def test_the_dashboard_asks_the_data_source_that_is_there():
    source = (MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text()
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    chosen, *others = DASHBOARD["templating"]["list"]  # elsewhere, another can be chosen
    assert (chosen["type"], chosen["query"]) == ("datasource", "prometheus")
    assert [chosen["current"]["value"]] == re.findall(r"uid: (\w+)", source)
    assert {one["datasource"]["uid"] for one in panels + others} == {f"${{{chosen['name']}}}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] and panel["targets"] for panel in panels)


def test_grafana_knows_every_setting_of_the_dashboard():
    register_default_plugins()  # or the options of panels and queries would be taken as they are
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(differences(DASHBOARD, known)) == []


def differences(ours, known, path="dashboard"):
    """Where a setting of ours is not among the known ones, or is another there."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for key in ours:
            yield from differences(ours[key], known.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for i, (one, other) in enumerate(zip(ours, known, strict=True)):
            yield from differences(one, other, f"{path}[{i}]")
    elif ours != known:
        yield f"{path}: {ours}"


def alerts_of(client):
    """The query of each alert that Prometheus has, by name."""
    groups = client.get("/api/v1/rules").json()["data"]["groups"]
    return {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}


def whatever_the_numbers(query):
    """The query without thresholds, so that an alert finds something where all is well; over seconds, not a day."""
    query = query.replace("$model", ".*").replace(" or vector(0)", "")
    query = re.sub(r"\[[^]]+\]", "[5s]", query)
    query = re.sub(r"(==|>=|>) [\d.]+", ">= 0", query)
    return re.sub(r'status=~?"[^"]+"', 'status="422"', query)  # the only errors here


def finds(client, query):
    """Whether the query has a result that is a number."""
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    return any(one["value"][1] != "NaN" for one in answer["data"]["result"])
