"""The options of python -m service score."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, CliImplicitFlag, CliPositionalArg, SettingsConfigDict

from service.settings import Provider


class Scoring(BaseSettings):
    """Predict every sequence of a table: .parquet, .csv or .npz, to another of these three.

    OUT has a row for each sequence of SOURCE, in its order. What is wrong with a sequence stands in OUT.errors.csv, and
    its row of OUT is empty. A run that was stopped is taken up where it was by the same command.
    """

    model_config = SettingsConfigDict(
        env_prefix="ATTENTION_", cli_kebab_case=True, cli_implicit_flags=True, cli_prog_name="python -m service score"
    )

    source: CliPositionalArg[Path] = Field(description="the table of sequences")
    out: CliPositionalArg[Path] = Field(description="the table of predictions, which is not there yet")
    model: str = Field(description="name of the model")
    version: int | None = Field(default=None, ge=1, description="version of the model; default: the newest")
    models: Path = Field(default=Path("models"), description="folder of models, NAME/VERSION/ each")
    id: str | None = Field(default=None, description="column of the sequence's name; default: id, where there is one")
    time: str | None = Field(default=None, description="column to order a long table by; default: time")
    target: str = Field(default="target", description="column of a wide table that is no step")
    text: str = Field(default="source", description="column of the texts, of a model that reads text")
    attention: CliImplicitFlag[bool] = Field(default=True, description="write the weights of every step, too")
    provider: Provider = Field(default="auto", description="where the model runs, as for the server")
    cores: int | None = Field(default=None, ge=1, description="runs at a time on this machine; default: all cores")
    engine: Literal["local", "ray"] = Field(
        default="local", description="ray: on the Ray cluster of RAY_ADDRESS, which must see the same files"
    )
