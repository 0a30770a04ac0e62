"""Every setting of the server, once: an option of `python -m service` and an environment variable ATTENTION_NAME."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Provider = Literal["auto", "cpu", "cuda"]


class Settings(BaseSettings):
    """Serve attention-LSTM models: predictions with their reasons, over REST.

    Every option can also be set in the environment, as ATTENTION_ and its name: ATTENTION_PORT=8123.
    """

    model_config = SettingsConfigDict(
        env_prefix="ATTENTION_",
        env_ignore_empty=True,
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_prog_name="python -m service",
    )

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for every interface")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 picks a free one")
    models: Path = Field(default=Path("models"), description="folder of models, NAME/VERSION/ each")
    default_model: str | None = Field(
        default=None, description="model of a request that names none; without it, the only model there is"
    )
    load: Literal["eager", "lazy"] = Field(
        default="eager", description="when models are loaded: all at the start, or each when it is first asked for"
    )
    watch: float = Field(
        default=1.0, ge=0, description="seconds between looks for new, changed and vanished models, and pins; 0: never"
    )
    max_model_memory: int | None = Field(
        default=None,
        ge=1,
        description="MB of models in memory; above it the one asked for least recently is unloaded until it is again",
    )
    pins: Path = Field(default=Path("var/pins.json"), description="file of the versions that models are pinned to")
    provider: Provider = Field(
        default="auto", description="where models run; auto: CUDA if it works, else CPU; cuda: CUDA or do not start"
    )
    threads: int = Field(default=1, ge=1, le=1024, description="threads for one run of a model that does not say")
    workers: int = Field(
        default=1, ge=1, le=256, description="processes that serve, on one port; more than one needs Linux"
    )
    stop_deadline: int = Field(
        default=5, ge=0, description="seconds that requests get to finish in when the server is told to stop"
    )
    stop_notice: float = Field(
        default=0,
        ge=0,
        description="seconds before that in which /readyz answers 503, for load balancers to see",
    )
    access_log: bool = Field(default=False, description="log a line for every request, at level info")
    store: str = Field(
        default="sqlite:var/explanations.sqlite3",
        pattern="^(sqlite:.+|valkeys?://.+|none)$",
        description="where explanations are kept: sqlite:PATH, valkey://HOST:PORT/DB (valkeys: with TLS), or none",
    )
    store_count: int = Field(default=100_000, ge=1, description="explanations kept at most; the oldest go first")
    store_days: float = Field(default=30, gt=0, description="days an explanation is kept")
    store_inputs: bool = Field(
        default=True, description="keep the sequences and texts received, too; without them there are no pictures"
    )
    max_body: int = Field(default=16_000_000, ge=1, description="bytes of a request's body")
    max_sequences: int = Field(default=10_000, ge=1, description="sequences in a request")
    max_steps: int = Field(default=10_000, ge=1, description="time steps of a sequence")
    max_batch: int = Field(
        default=256, ge=1, description="sequences of requests that are run together; larger requests take turns"
    )
    max_batch_values: int = Field(
        default=4_000_000, ge=1, description="values (batch × time × feature) of one run; larger requests take several"
    )
    max_wait: float = Field(
        default=1.0, gt=0, description="seconds of work that may wait; while more does, requests are refused (429)"
    )
    deadline: float = Field(default=30.0, gt=0, description="seconds in which a request is answered, or fails (504)")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least severe logged")
