"""What one measurement found, and the error of a run that must not count."""

from dataclasses import dataclass
from typing import Self

import numpy as np


class BenchmarkError(Exception):
    """A process died, an answer was wrong or none came: nothing of this run counts."""


@dataclass(frozen=True)
class Measured:
    """One way, measured once.

    Attributes:
        sequences: sequences a second.
        requests: requests (of the bare runtime: runs) a second.
        p50, p99, max: milliseconds of a request.
        cpu: microseconds of the server's CPU for a sequence; what else the machine does hardly touches it.
    """

    sequences: float
    requests: float
    p50: float
    p99: float
    max: float
    cpu: float

    @classmethod
    def of(cls, seconds: np.ndarray, sequences: float, requests: float, cpu: float) -> Self:
        """From the seconds `(request,)` of every request, the two rates, and the seconds of CPU for a sequence.

        Raises:
            BenchmarkError: there was no request.
        """
        if not len(seconds):
            raise BenchmarkError("expected an answer within the time measured, received none: --seconds gives more")
        p50, p99 = np.percentile(seconds, [50, 99])
        longest = float(1e3 * seconds.max())
        return cls(sequences, requests, float(1e3 * p50), float(1e3 * p99), longest, 1e6 * cpu)
