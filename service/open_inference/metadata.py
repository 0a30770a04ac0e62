"""What the protocol says about the server, its models, and what is in memory."""

from typing import Literal

from service import VERSION
from service.manifest import Manifest
from service.models.repository import Repository
from service.models.versions import Version
from service.open_inference.answers import outputs
from service.open_inference.schemas import IndexEntry, ModelMetadata, ServerMetadata, TensorMetadata
from service.schemas.models import State

SERVER = ServerMetadata(
    name="attention-lstm",
    version=VERSION,
    extensions=["binary_tensor_data", "parameters", "schedule_policy", "model_repository", "explain"],
)
STATES: dict[State, Literal["READY", "LOADING", "UNAVAILABLE"]] = {
    "loaded": "READY",
    "loading": "LOADING",
    "not loaded": "UNAVAILABLE",
}


def describe(repository: Repository, version: Version, manifest: Manifest) -> ModelMetadata:
    """What a version takes and gives."""
    return ModelMetadata(
        name=manifest.name,
        versions=[str(other.number) for other in repository.served if other.name == version.name],
        platform="onnx_onnxv1",
        inputs=_inputs(manifest),
        outputs=[_output(name, manifest) for name in outputs(manifest)],
    )


def index(repository: Repository) -> list[IndexEntry]:
    """Every version that is served, comes, or cannot be served."""
    entries = [entry(version) for version in repository.served]
    entries += [entry(version, "it is being loaded") for version in repository.coming]
    return entries + [entry(version, version.fault or "") for version in repository.broken]


def entry(version: Version, reason: str = "it is loaded when it is asked for") -> IndexEntry:
    """A version in the index."""
    state = STATES[version.state]
    return IndexEntry(
        name=version.name, version=str(version.number), state=state, reason="" if state == "READY" else reason
    )


def _inputs(manifest: Manifest) -> list[TensorMetadata]:
    if manifest.vocabulary is not None:
        return [TensorMetadata(name="sequences", datatype="BYTES", shape=[-1])]
    low, high = manifest.lengths.min, manifest.lengths.max
    shape = [-1, low if low == high else -1, len(manifest.features)]
    sequences = TensorMetadata(name="sequences", datatype="FP32", shape=shape)
    if low == high:  # a length is taken where it is given, and can only be this
        return [sequences]
    return [sequences, TensorMetadata(name="lengths", datatype="INT32", shape=[-1])]


def _output(name: str, manifest: Manifest) -> TensorMetadata:
    if name == "attention":
        low, high = manifest.lengths.min, manifest.lengths.max
        sizes = {"time": low if low == high else -1, "feature": len(manifest.features), "out_time": -1, "in_time": -1}
        axes = manifest.attention.axes if manifest.attention else ()
        return TensorMetadata(name=name, datatype="FP32", shape=[-1, *[sizes[axis] for axis in axes]])
    if manifest.vocabulary is not None:
        return TensorMetadata(name=name, datatype="BYTES" if name == "prediction" else "FP32", shape=[-1])
    return TensorMetadata(name=name, datatype="FP32", shape=[-1, manifest.outputs])
