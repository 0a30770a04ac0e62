"""What the answered weights look like, counted for GET /metrics: how concentrated they are, where the heaviest step is,
and how far their mean is from that of training.

An answer only leaves its weights here. They are measured together with those of others: a call of numpy takes longer
than the arithmetic on a few weights. And when there are many, not all: a few hundred a second say as much.
"""

from time import monotonic
from typing import get_args

import numpy as np

from service.explanations.measures import concentrations, profile, top_positions
from service.explanations.record import steps_of
from service.manifest import AnswerVerdict, Manifest
from service.ragged import Ragged
from service.telemetry.collect import Telemetry

EVERY = 16  # of a request of more sequences, each 16th is measured: it need not pay for all of them
WAITING = 256  # sequences, before the last of them
WAITING_VALUES = 1 << 16  # weights, before the last of them
EVERY_S = 1.0  # when so many wait, and were counted less than so many seconds ago, more are let go


class Tally:
    """Counts the weights of some 256 sequences a second, some time after they were answered.

    Args:
        telemetry: what is waiting is counted before it is read.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._waiting: list[tuple[Manifest, Ragged]] = []
        self._sequences, self._values, self._counted = 0, 0, monotonic() - EVERY_S
        telemetry.before_reading(self.count)

    def add(self, manifest: Manifest, attention: Ragged) -> None:
        """Takes what a model answered to one request, see `Found`."""
        if self._sequences >= WAITING or self._values >= WAITING_VALUES:
            if monotonic() - self._counted < EVERY_S:
                return
            self.count()
        many = len(attention) > EVERY
        attention = attention.take(np.arange(0, len(attention), EVERY)) if many else attention.copy()
        self._waiting.append((manifest, attention))
        self._sequences += len(attention)
        self._values += attention.values.size

    def count(self) -> None:
        """Counts all that waits."""
        waiting, self._waiting = self._waiting, []
        self._sequences, self._values, self._counted = 0, 0, monotonic()
        by_model: dict[tuple[str, int], tuple[Manifest, list[Ragged]]] = {}
        for manifest, attention in waiting:
            by_model.setdefault((manifest.name, manifest.version), (manifest, []))[1].append(attention)
        for manifest, parts in by_model.values():
            self._count(manifest, Ragged.join(parts))

    def _count(self, manifest: Manifest, attention: Ragged) -> None:
        telemetry, key = self._telemetry, (manifest.name, manifest.version)
        if attention.widths is not None:  # what each character looks at; where that is, moves on with the text
            if len(rows := _rows(attention, attention.widths)):
                telemetry.concentration(*key).observe_all(concentrations(rows))
            return
        weights = steps_of(attention)
        telemetry.concentration(*key).observe_all(concentrations(weights))
        telemetry.top_position(*key).observe_all(top_positions(weights))
        for verdict in get_args(AnswerVerdict):
            telemetry.verdicts(*key).add(verdict, n=0)  # so that the first is a rise
        if manifest.attention is not None and manifest.attention.profile is not None:
            expected = np.multiply(manifest.attention.profile, len(weights))
            telemetry.drift(*key).add(profile(weights).tolist(), expected.tolist())


def _rows(attention: Ragged, widths: np.ndarray) -> Ragged:
    """The rows of matrices `(out_time, in_time)`, one by one."""
    return Ragged(attention.values, np.repeat(widths, attention.lengths // widths))
