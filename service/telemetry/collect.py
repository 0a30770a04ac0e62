"""The numbers of this process: where the server counts, and from where they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from service.telemetry.metrics import (
    BATCH_SIZE,
    COMPUTE,
    CONCENTRATION,
    DRIFT,
    ERRORS,
    EXPLANATIONS,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    METHODS,
    METRICS,
    OF_MODELS,
    PADDED_STEPS,
    QUEUE,
    REQUESTS,
    SEQUENCES_RUN,
    STEPS,
    TOP_POSITION,
    TOTAL,
    VERDICTS,
    Metric,
)
from service.telemetry.numbers import Counter, Counters, Drift, Gauge, Histogram, Labels, Snapshot

N = TypeVar("N", Counter, Histogram, Drift)


@dataclass(frozen=True)
class ModelMetrics:
    """The numbers of a version of a model.

    Attributes:
        requests: `add("ok")`, or the class of its error.
        total: seconds of a request, from its body received to its answer written.
        queue: seconds a request waited for its first run.
        compute: seconds of a run.
        batch_size: sequences of a run.
        padded_steps: batch × time of each run.
    """

    requests: Counters
    total: Histogram
    queue: Histogram
    compute: Histogram
    batch_size: Histogram
    sequences: Counter
    steps: Counter
    padded_steps: Counter


class Telemetry:
    """The numbers of this process. Its series are those of routes, errors and models that exist, never of a request."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[Labels, Counter]] = {
            n: {} for n, m in METRICS.items() if not (m.buckets or m.distance)
        }
        self._histograms: dict[str, dict[Labels, Histogram]] = {n: {} for n, m in METRICS.items() if m.buckets}
        self._drifts: dict[str, dict[Labels, Drift]] = {n: {} for n, m in METRICS.items() if m.distance}
        self._settle: list[Callable[[], None]] = []
        self._models: dict[tuple[str, int], ModelMetrics] = {}
        self._gone: set[Labels] = set()  # versions, of which nothing is kept any more
        self._gauges: list[tuple[str, str, Labels, Callable[[], Mapping[Labels, float]]]] = []
        self._errors = Counters(self._counters[ERRORS.name])
        self._kept = self._counter(EXPLANATIONS, "kept")
        self._not_kept = self._counter(EXPLANATIONS, "not kept")
        self._http: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def model(self, name: str, version: int) -> ModelMetrics:
        """The numbers of a model that is served: the same object each time, to be kept."""
        found = self._models.get((name, version))
        return found if found is not None else self._add_model(name, version)

    def concentration(self, name: str, version: int) -> Histogram:
        """Of the weights of a model that is served; see `measures.concentrations`."""
        return self._histogram(CONCENTRATION, name, str(version))

    def top_position(self, name: str, version: int) -> Histogram:
        """Of the weights of a model that is served; see `measures.top_positions`."""
        return self._histogram(TOP_POSITION, name, str(version))

    def verdicts(self, name: str, version: int) -> Counters:
        """On the weights of a model that is served: `add("weak")`."""
        return Counters(self._of(self._counters, VERDICTS, (name, str(version))), name, str(version))

    def drift(self, name: str, version: int) -> Drift:
        """How far the weights of a model that is served are from those in training."""
        labels = (name, str(version))
        return self._of(self._drifts, DRIFT, labels).setdefault(labels, Drift())

    def before_reading(self, settle: Callable[[], None]) -> None:
        """Has `settle` called before the numbers are read or dropped: it counts what it has put off."""
        self._settle.append(settle)

    def forget(self, name: str, version: int) -> None:
        """Drops the numbers of a model that is not served any more: versions that come and go do not pile up. What is
        counted by its last requests, which are under way, is dropped as well.
        """
        self._settled()
        self._models.pop((name, version), None)
        labels = (name, str(version))
        self._gone.add(labels)
        for metric in OF_MODELS:
            series = self._all[metric.name]
            for key in [key for key in series if key[:2] == labels]:
                del series[key]

    def expect(self, name: str, version: int) -> None:
        """Keeps numbers of a model again, which has come back."""
        self._gone.discard((name, str(version)))
        self._models.pop((name, version), None)

    def error(self, kind: str, status: int) -> None:
        """Counts an error answered; `kind` is the name of its class."""
        self._errors.add(kind, f"{status:d}")

    def kept(self, kept: bool) -> None:
        """Counts an explanation that was to be kept."""
        (self._kept if kept else self._not_kept).value += 1

    def http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an HTTP request answered; `route` is the template of its path, not the path."""
        counter, histogram = self._http.get((method, route, status)) or self._add_http(method, route, status)
        counter.value += 1
        histogram.observe(seconds)

    def gauge(self, name: str, help: str, read: Callable[[], Mapping[Labels, float]], labels: Labels = ()) -> None:
        """Adds a number that rises and falls, read when asked for; `attention_lstm_NAME` to Prometheus.

        Args:
            read: gives a number for each set of label values; `{(): 3}` where there are no labels.
        """
        self._gauges.append((name, help, labels, read))

    def snapshot(self, worker: int, pid: int) -> Snapshot:
        """All numbers, now."""
        self._settled()
        series = {
            metric: [(labels, one.values()) for labels, one in found.items()] for metric, found in self._all.items()
        }
        gauges = [Gauge(name, help, labels, list(read().items())) for name, help, labels, read in self._gauges]
        return Snapshot(worker, pid, series, gauges)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes on from the numbers of a process that ended, so that its successor's do not fall."""
        for metric, found in snapshot.series.items():
            for labels, values in found:
                self._series(METRICS[metric], labels).restore(values)

    @property
    def _all(self) -> dict[str, dict[Labels, Any]]:
        return {**self._counters, **self._histograms, **self._drifts}

    def _settled(self) -> None:
        for settle in self._settle:
            settle()

    def _series(self, metric: Metric, labels: Labels) -> Counter | Histogram | Drift:
        if metric.distance:
            return self._of(self._drifts, metric, labels).setdefault(labels, Drift())
        return self._counter(metric, *labels) if metric.buckets is None else self._histogram(metric, *labels)

    def _counter(self, metric: Metric, *labels: str) -> Counter:
        return self._of(self._counters, metric, labels).setdefault(labels, Counter())

    def _histogram(self, metric: Metric, *labels: str) -> Histogram:
        return self._of(self._histograms, metric, labels).setdefault(labels, Histogram(metric.buckets or ()))

    def _of(self, all: dict[str, dict[Labels, N]], metric: Metric, labels: Labels) -> dict[Labels, N]:
        """The series of a metric; of a version that is gone, some that nobody reads."""
        return {} if labels[:2] in self._gone else all[metric.name]

    def _add_model(self, name: str, version: int) -> ModelMetrics:
        labels = (name, str(version))
        self._models[name, version] = ModelMetrics(
            requests=Counters(self._of(self._counters, REQUESTS, labels), *labels),
            total=self._histogram(TOTAL, *labels),
            queue=self._histogram(QUEUE, *labels),
            compute=self._histogram(COMPUTE, *labels),
            batch_size=self._histogram(BATCH_SIZE, *labels),
            sequences=self._counter(SEQUENCES_RUN, *labels),
            steps=self._counter(STEPS, *labels),
            padded_steps=self._counter(PADDED_STEPS, *labels),
        )
        return self._models[name, version]

    def _add_http(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in METHODS else "other"
        counter = self._counter(HTTP_REQUESTS, known, route, f"{status:d}")
        found = (counter, self._histogram(HTTP_SECONDS, route))
        if known == method:
            self._http[method, route, status] = found
        return found
