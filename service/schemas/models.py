"""What is said of the models that are served."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.manifest import Manifest, RuntimeOptions

State = Literal["loaded", "not loaded", "loading"]


class ModelInfo(BaseModel):
    """A version of a model that is served. Where several processes serve, each has its own models in memory."""

    manifest: Manifest = Field(description="what the model declares about itself")
    expects: str = Field(description="the shape of a sequence, in words")
    state: State = Field(description="whether it is in memory; a model that is not is loaded when it is asked for")
    default: bool = Field(description="whether it answers the requests that name this model and no version")
    memory_mb: float = Field(description="main memory that it takes while it is loaded, runs aside; estimated")
    provider: Literal["cpu", "cuda"] | None = Field(description="where it runs; null while it is not loaded")
    runtime: RuntimeOptions | None = Field(description="the options that it runs with; null while it is not loaded")
    fault: str | None = Field(description="why its folder, which has changed, is not served as it is now; else null")


class BrokenInfo(BaseModel):
    """A model folder that cannot be served."""

    folder: str
    reason: str


class StateInfo(BaseModel):
    """Whether a version is in memory."""

    model: str
    version: int
    state: State
    memory_mb: float = Field(description="of all that is loaded")


class PinInfo(BaseModel):
    """The version that is to answer the requests that name its model and no version."""

    model: str
    version: int
    fault: str | None = Field(description="why it does not, and what answers instead; null where it does")


class PinRequest(BaseModel):
    """What to pin a model to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(ge=1)


class DefaultInfo(BaseModel):
    """What answers the requests that name a model and no version."""

    model: str
    version: int | None = Field(description="null where no version is served")
    pinned: bool


class ModelList(BaseModel):
    """Every model folder, served or not."""

    models: list[ModelInfo] = Field(description="newest version of a model first")
    coming: list[str] = Field(description="folders that are being checked and loaded, and not served yet")
    broken: list[BrokenInfo]
    pins: list[PinInfo]
    memory_mb: float = Field(description="of all that is loaded")
    max_memory_mb: float | None = Field(description="what of it is unloaded above; null without a bound")
