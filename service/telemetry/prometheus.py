"""The numbers as Prometheus reads them."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from prometheus_client import Metric as Family
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.telemetry.metrics import METRICS, Metric
from service.telemetry.numbers import Labels, Snapshot, distance, merge

PREFIX = "attention_lstm_"


def text(snapshots: Sequence[Snapshot], build: dict[str, str]) -> bytes:
    """The text that GET /metrics answers.

    Args:
        snapshots: one of each worker; the numbers are their sums, but gauges and processes bear the label `worker`.
        build: what is running, as labels of `attention_lstm_build_info`.
    """
    return generate_latest(_Families(snapshots, build))


class _Families(Collector):
    def __init__(self, snapshots: Sequence[Snapshot], build: dict[str, str]) -> None:
        self._snapshots, self._build = snapshots, build

    def collect(self) -> Iterator[Family]:
        yield InfoMetricFamily(f"{PREFIX}build", "What is running.", value=self._build)
        for name, series in merge(self._snapshots).items():
            yield _counted(METRICS[name], series)
        yield from _gauges(self._snapshots)
        yield from _processes(self._snapshots)


def _counted(metric: Metric, series: dict[Labels, list[float]]) -> Family:
    if metric.distance:
        gauge = GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
        for labels, sums in series.items():
            if (far := distance(sums)) is not None:
                gauge.add_metric(labels, far)
        return gauge
    if metric.buckets is None:
        counter = CounterMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
        for labels, [value] in series.items():
            counter.add_metric(labels, value)
        return counter
    histogram = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
    for labels, [*counts, sum_value] in series.items():
        histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), sum_value)
    return histogram


def _gauges(snapshots: Iterable[Snapshot]) -> Iterable[Family]:
    families: dict[str, GaugeMetricFamily] = {}
    for snapshot in snapshots:
        for gauge in snapshot.gauges:
            labels = (*gauge.labels, "worker")
            family = families.setdefault(gauge.name, GaugeMetricFamily(PREFIX + gauge.name, gauge.help, labels=labels))
            for values, value in gauge.values:
                family.add_metric((*values, str(snapshot.worker)), value)
    return families.values()


def _processes(snapshots: Iterable[Snapshot]) -> Iterable[Family]:
    """Memory, CPU time, open files and start of every living process: `process_...`, as Prometheus' clients have it."""
    families: dict[str, Family] = {}
    for snapshot in snapshots:
        if snapshot.pid is None:
            continue
        for one in ProcessCollector(pid=partial(int, snapshot.pid), registry=None).collect():
            family = families.setdefault(one.name, Family(one.name, one.documentation, one.type))
            for sample in one.samples:
                family.add_sample(sample.name, {"worker": str(snapshot.worker)}, sample.value)
    return families.values()
