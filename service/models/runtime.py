"""One model in ONNX Runtime: the choice of provider and options, and `run(batch) -> outputs`.

The arena is off by default: after runs of 200 random shapes it holds on to 58 MB (japanese-vowels, batch up to 256),
for every model anew, while without it 0.4 MB stay and runs take as long (0.94 to 1.03 times, batch 1 to 256). Threads
that wait do not spin: where others want the core, spinning made a run of two threads 1.5 times slower.
"""

import math
import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported
import numpy as np
import onnxruntime as ort

from service.arrays import FloatArray, IntArray
from service.errors import ModelError, ProviderUnavailable, Unreadable
from service.manifest import RuntimeOptions
from service.settings import Provider

ort.set_default_logger_severity(4)  # what matters is checked below, and said in our own words
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
SYSTEM = "system error number"  # in what ONNX Runtime says where the system did not let it read a file; all it says
FLOAT, INT = "tensor(float)", "tensor(int32)"
TEXT_INPUTS = {"sequences": (INT, 2), "lengths": (INT, 1), "beam": (INT, 0)}  # type and number of axes
LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
TEXT_OUTPUTS = {"prediction": (INT, 2), "attention": (FLOAT, 3), "probability": (FLOAT, 1)}


class Outputs(NamedTuple):
    """What a model said about one batch.

    Attributes:
        prediction: `(batch, output)`.
        attention: `(batch, time)` or `(batch, time, feature)`; None from a model without attention.
    """

    prediction: FloatArray
    attention: FloatArray | None = None


class TextOutputs(NamedTuple):
    """What a model that writes text said about one batch.

    Attributes:
        prediction: ids `(batch, out_time)` int32, END behind each answer.
        attention: `(batch, out_time, in_time)`.
        probability: `(batch,)`, of the whole answer.
    """

    prediction: IntArray
    attention: FloatArray
    probability: FloatArray


class Runtime:
    """An ONNX Runtime session whose inputs and outputs have the names of the model contract.

    Args:
        graph: path of model.onnx.
        provider: `cuda` demands CUDA; `auto` takes it where it works.
        options: threads, arena, graph optimisation, CUDA.

    Attributes:
        provider: where it runs.
        time: steps of every sequence, where the graph fixes them.

    Raises:
        ProviderUnavailable: CUDA was demanded and is not there.
        ModelError: the graph cannot be loaded, or an input or output of the contract is missing.
        Unreadable: it cannot be read now.
    """

    def __init__(self, graph: Path, provider: Provider, options: RuntimeOptions) -> None:
        try:
            self._session = ort.InferenceSession(graph, _session_options(options), _providers(provider, options))
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            refused = Unreadable if SYSTEM in str(error) else ModelError
            raise refused(f"{graph.name}: expected a graph that ONNX Runtime can load, received: {error}") from error
        self.options = options
        self.provider: Literal["cpu", "cuda"] = "cuda" if self._session.get_providers()[0] == CUDA else "cpu"
        if provider == "cuda" and self.provider != "cuda":
            raise ProviderUnavailable(NO_CUDA.format(why="ONNX Runtime fell back to the CPU: no GPU, or no driver"))
        inputs = {i.name: i for i in self._session.get_inputs()}
        outputs = {o.name for o in self._session.get_outputs()}
        self.reads_text = "beam" in inputs
        self._check_contract()
        shape = inputs["sequences"].shape
        self.time = shape[1] if isinstance(shape[1], int) else None
        self.takes_lengths = "lengths" in inputs
        kind = TextOutputs if self.reads_text else Outputs
        self._outputs = [name for name in kind._fields if name in outputs]
        # InferenceSession.run takes 6 % longer than what it wraps (planted-before, batch 1), and goes on without a word
        # on the CPU where CUDA fails.
        self._run = self._session._sess.run

    def run(self, sequences: FloatArray, lengths: IntArray) -> Outputs:
        """Runs one batch.

        Args:
            sequences: `(batch, time, feature)`, finite, padded to `self.time` where that is fixed.
            lengths: `(batch,)` int32; passed on where the graph takes lengths.
        """
        feeds = {"sequences": sequences, "lengths": lengths} if self.takes_lengths else {"sequences": sequences}
        return Outputs(*self._run(self._outputs, feeds, None))

    def run_text(self, sequences: IntArray, lengths: IntArray, beam: int) -> TextOutputs:
        """Runs one batch of text.

        Args:
            sequences: ids `(batch, in_time)` int32, padded.
            lengths: `(batch,)` int32.
            beam: width of the search; 1 is greedy.
        """
        feeds = {"sequences": sequences, "lengths": lengths, "beam": np.array(beam, np.int32)}
        return TextOutputs(*self._run(self._outputs, feeds, None))

    def output_rank(self, name: str) -> int | None:
        """Number of axes of an output, None where the graph has no such output."""
        ranks = {output.name: len(output.shape) for output in self._session.get_outputs()}
        return ranks.get(name)

    @property
    def features(self) -> int | str | None:
        """Size of the feature axis, an integer where the graph fixes it."""
        size: int | str | None = self._session.get_inputs()[0].shape[2]
        return size

    def _check_contract(self) -> None:
        inputs = {i.name: (i.type, len(i.shape)) for i in self._session.get_inputs()}
        outputs = {o.name: (o.type, len(o.shape)) for o in self._session.get_outputs()}
        if self.reads_text:
            if inputs != TEXT_INPUTS or outputs != TEXT_OUTPUTS:
                raise ModelError(f"expected {TEXT_INPUTS} to {TEXT_OUTPUTS}, received {inputs} to {outputs}")
            return
        expected = {"sequences": (FLOAT, 3), "lengths": (INT, 1)}
        if "sequences" not in inputs or any(expected.get(name) != found for name, found in inputs.items()):
            raise ModelError(f"expected inputs {expected}, lengths optional; received {inputs}")
        allowed = {"prediction": [(FLOAT, 2)], "attention": [(FLOAT, 2), (FLOAT, 3)]}
        if "prediction" not in outputs or any(found not in allowed.get(name, []) for name, found in outputs.items()):
            raise ModelError(f"expected outputs {allowed}, attention optional; received {outputs}")


def check_provider(provider: Provider) -> None:
    """Checks, before any model is loaded, that this onnxruntime can use CUDA where CUDA is demanded.

    Raises:
        ProviderUnavailable: it cannot.
    """
    if provider == "cuda" and CUDA not in ort.get_available_providers():
        raise ProviderUnavailable(NO_CUDA.format(why="the installed onnxruntime is built for the CPU only"))


def available_cpus() -> int:
    """CPUs this process may use: its affinity, and the quota of its container (cgroup v2 or v1)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, cgroup_quota(Path("/sys/fs/cgroup")))))


def cgroup_quota(root: Path) -> float:
    """CPUs' worth of time that the cgroup mounted at `root` may use; infinite without a limit."""
    v2, v1 = root / "cpu.max", root / "cpu" / "cpu.cfs_quota_us"
    if v2.exists():
        quota, period = v2.read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    if v1.exists() and (quota_us := int(v1.read_text())) > 0:
        return quota_us / int((root / "cpu" / "cpu.cfs_period_us").read_text())
    return math.inf


def _session_options(options: RuntimeOptions) -> ort.SessionOptions:
    session = ort.SessionOptions()
    session.intra_op_num_threads = options.threads
    session.inter_op_num_threads = 1
    session.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session.enable_cpu_mem_arena = options.arena
    session.enable_mem_pattern = options.arena  # without it, one block for all of a run has to be had anew
    session.graph_optimization_level = LEVELS[options.graph_optimization]
    session.log_severity_level = 4
    return session


def _providers(provider: Provider, options: RuntimeOptions) -> list[Any]:
    if provider == "cpu" or CUDA not in ort.get_available_providers():
        return [CPU]
    ort.preload_dlls()  # finds the CUDA libraries that pip installed
    return [(CUDA, {name: str(value) for name, value in options.cuda.items()}), CPU]


NO_CUDA = (
    "expected CUDA, because the provider is set to cuda; {why}. Install the NVIDIA driver and the GPU build "
    "(pip install --require-hashes -r requirements/gpu.txt), or set the provider to auto or cpu."
)
