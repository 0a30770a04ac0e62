"""`docker compose up`, as a person runs it: a real engine, the committed models, a client outside."""

import json
import os
import re
import shutil
import socket
import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.scraping import wait_until

ROOT = Path(__file__).parents[2]
MANIFESTS = [json.loads(path.read_text()) for path in sorted(ROOT.glob("models/*/1/model.json"))]
PATIENCE = 600  # seconds; the first build downloads every package
ASK_REPLICAS = """
import json, socket
from urllib.request import Request, urlopen
addresses = sorted({found[4][0] for found in socket.getaddrinfo("replica", 8000, type=socket.SOCK_STREAM)})
answered, kept = set(), {}
for address in addresses:
    body = json.dumps({"model": "italy-power", "sequences": [[0.0] * 24]}).encode()
    request = Request(f"http://{address}:8000/predict", body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        answered.add(answer.headers["X-Request-Id"][:16])  # all ids of a process begin alike
        kept[address] = json.load(answer)["id"]
for address in [*addresses, "replica"]:
    for id in kept.values():
        with urlopen(f"http://{address}:8000/attention/{id}") as found:
            assert json.load(found)["id"] == id
print(len(addresses), len(answered), len(kept))
"""


AS_GRAFANA = """
import json, os, re
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen
provisioning = Path("/etc/grafana/provisioning")
[source] = re.findall(r"url: (\\S+)", (provisioning / "datasources/prometheus.yml").read_text())
[folder] = re.findall(r"path: (\\S+)", (provisioning / "dashboards/files.yml").read_text())
home = Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
assert list(Path(folder).glob("*.json")) == [home]
queries = [target["expr"] for panel in json.loads(home.read_text())["panels"] for target in panel.get("targets", [])]
for query in queries:
    query = query.replace("$model", ".*").replace("$__rate_interval", "1m")
    with urlopen(f"{source}/api/v1/query?{urlencode({'query': query})}") as answer:
        assert json.load(answer)["status"] == "success"
print(len(queries))
"""


class Compose:
    """A compose project of its own, on ports of its own, with stand-ins for images that cannot be pulled."""

    def __init__(self):
        port, prometheus_port, grafana_port = free_ports(3)
        self.url, self.prometheus_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{prometheus_port}"
        self._environment = os.environ | {
            "COMPOSE_FILE": "docker-compose.yml:tests/e2e/monitoring.yml",
            "COMPOSE_PROJECT_NAME": f"test-{uuid.uuid4().hex[:12]}",
            "PORT": str(port),
            "PROMETHEUS_PORT": str(prometheus_port),
            "GRAFANA_PORT": str(grafana_port),
        }

    def __call__(self, *arguments):
        """Runs `docker compose ARGUMENTS`; returns its output."""
        return docker("compose", *arguments, environment=self._environment)

    def up(self):
        """Returns once the server is healthy."""
        try:
            self("up", "--wait", "--wait-timeout", "60", "--build")
        except AssertionError as error:
            pytest.fail(f"{error}\n{self('logs', '--no-color')}")

    def inspect(self, template):
        """The field of the server's container that a Go template picks."""
        return docker("inspect", "--format", template, self("ps", "--all", "--quiet", "server"))


def free_ports(n):
    with ExitStack() as taken:
        return [taken.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(n)]


def docker(*arguments, environment=None):
    """Runs `docker ARGUMENTS`; returns its output."""
    options = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "timeout": PATIENCE}
    done = subprocess.run(["docker", *arguments], check=False, **options)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def compose():
    if shutil.which("docker") is None:
        pytest.fail("expected docker on the PATH, with its compose plugin: these tests run the real thing")
    docker("info")  # fails, and says why, where no engine answers
    compose = Compose()
    try:
        compose.up()
        yield compose
    finally:
        everything = ("--profile", "*")  # a profile's containers and volumes stay if it is not named
        compose(*everything, "down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "1")


@pytest.fixture
def client(compose):
    with httpx.Client(base_url=compose.url, timeout=30) as client:
        yield client


def predict(client, manifest):
    """The answer to the first example that the model carries."""
    request = {"model": manifest["name"], "sequences": [manifest["examples"][0]["sequence"]]}
    return client.post("/predict", json=request).raise_for_status().json()


def test_serves_every_committed_model(client):
    found = client.get("/models").raise_for_status().json()
    assert found["broken"] == []
    assert {model["manifest"]["name"] for model in found["models"]} == {manifest["name"] for manifest in MANIFESTS}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["name"])
def test_predicts_and_explains(client, manifest):
    answer = predict(client, manifest)
    kept = client.get(f"/attention/{answer['id']}").raise_for_status().json()
    assert kept["model"] == manifest["name"]
    assert kept["sequences"][0]["prediction"] == answer["predictions"][0]
    assert kept["sequences"][0]["attention"] == answer["attention"][0]
    rows = answer["attention"][0] if manifest["task"] == "sequence" else answer["attention"]
    assert [sum(row) for row in rows] == pytest.approx([1] * len(rows), abs=1e-5)


def test_explanations_survive_a_restart(compose, client):
    address = f"/attention/{predict(client, MANIFESTS[0])['id']}"
    before = client.get(address).raise_for_status().json()
    started = compose.inspect("{{.State.StartedAt}}")
    compose("restart")
    compose.up()
    assert compose.inspect("{{.State.StartedAt}}") != started
    assert httpx.get(compose.url + address).raise_for_status().json() == before


def test_explanations_survive_a_new_container(compose, client):
    address = f"/attention/{predict(client, MANIFESTS[0])['id']}"
    before = client.get(address).raise_for_status().json()
    compose("down")
    compose.up()
    assert httpx.get(compose.url + address).raise_for_status().json() == before


def test_container_can_do_little(compose):
    assert compose("exec", "server", "id", "-u") == "10001"
    assert compose.inspect("{{.HostConfig.ReadonlyRootfs}}") == "true"
    status = dict(line.split(":\t", 1) for line in compose("exec", "server", "cat", "/proc/1/status").splitlines())
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    write = "touch {0}/x 2>&1 | grep -q 'Read-only file system'"
    for folder in ("/app", "/app/models", "/opt/venv"):
        compose("exec", "server", "sh", "-c", write.format(folder))


def test_image_holds_no_tensorflow_and_no_compiler(compose):
    modules = "from importlib.util import find_spec; print(*filter(find_spec, ['tensorflow', 'keras', 'training']))"
    commands = "from shutil import which; print(*filter(which, ['gcc', 'g++', 'cc', 'make', 'ld']))"
    assert compose("exec", "server", "python", "-c", modules) == ""
    assert compose("exec", "server", "python", "-c", commands) == ""


def test_stops_cleanly_and_at_once(compose, client):
    client.get("/readyz").raise_for_status()  # and the connection stays open
    compose("stop")
    assert compose.inspect("{{.State.ExitCode}}") == "0"  # not 137: after 10 s the engine kills
    compose.up()  # the tests do not depend on their order


def test_stops_at_once_while_it_still_starts(compose):
    compose("stop")
    compose("start")
    compose("stop")
    assert compose.inspect("{{.State.ExitCode}}") in {"0", "143"}  # 143: told to stop before it could listen
    compose.up()


def test_two_replicas_behind_one_name_share_their_explanations(compose):
    compose("up", "--wait", "--wait-timeout", "60", "--build", "replica")
    assert compose("exec", "server", "python", "-c", ASK_REPLICAS) == "2 2 2"


def test_prometheus_finds_every_server_and_has_the_alerts(compose):
    compose("--profile", "monitoring", "up", "--detach", "--build")
    running = compose("ps", "--quiet", "server", "replica").splitlines()
    with httpx.Client(base_url=compose.prometheus_url) as prometheus:

        def asked():
            answer = prometheus.get("/api/v1/query", params={"query": 'up{job="attention-lstm"}'}).raise_for_status()
            return [one["value"][1] for one in answer.json()["data"]["result"]]

        wait_until(lambda: prometheus.get("/-/ready").is_success, 60)  # until then it answers 503
        wait_until(lambda: asked() == ["1"] * len(running), 60)
        groups = prometheus.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
    rules = (ROOT / "monitoring/prometheus/rules.yml").read_text()
    assert {rule["name"] for group in groups for rule in group["rules"]} == set(re.findall(r"- alert: (\w+)", rules))


def test_grafana_may_read_its_dashboard_and_reach_its_data_source(compose):
    compose("--profile", "monitoring", "up", "--detach", "--build")
    with httpx.Client(base_url=compose.prometheus_url) as prometheus:
        wait_until(lambda: prometheus.get("/-/ready").is_success, 60)
    dashboard = json.loads((ROOT / "monitoring/grafana/dashboards/attention-lstm.json").read_text())
    queries = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert compose("exec", "grafana", "python", "-c", AS_GRAFANA) == str(len(queries))


def test_nothing_is_reached_from_other_machines(compose):
    services = json.loads(compose("--profile", "*", "config", "--format", "json"))["services"]
    published = [port["host_ip"] for one in services.values() for port in one.get("ports", [])]
    assert set(published) == {"127.0.0.1"}
