"""Whether the server is well."""

from typing import Literal

from pydantic import BaseModel, Field


class Status(BaseModel):
    """Whether the server is alive or ready."""

    status: Literal["ok"]
    note: str | None = Field(default=None, description="what it cannot do meanwhile, and why; absent where nothing is")
