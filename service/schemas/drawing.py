"""What is to be drawn though it is not kept."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

from service.schemas.faithfulness import Baseline

Value = Annotated[float, Field(strict=True, ge=-3.4e38, le=3.4e38)]  # fits float32
Size = Annotated[float, Field(strict=True, ge=0, le=3.4e38)]


def _in_rows(given: Any) -> Any:
    """A flat list as rows of one."""
    return [one if isinstance(one, list) else [one] for one in given] if isinstance(given, list) else given


def _in_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def _either(*kinds: Any, description: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [TypeAdapter(kind).json_schema() for kind in kinds], "description": description})


class DrawRequest(BaseModel):
    """A sequence or a text and what was predicted of it: the parts of a POST /predict answer that belong to it. Without
    either, the weights of a sequence alone.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str = Field(max_length=200)
    version: int = Field(ge=0, le=2**31)
    features: list[str] | None = Field(default=None, min_length=1, description="names; default: x0, x1, ...")
    sequence: Annotated[
        list[list[Value]] | None,
        BeforeValidator(_in_rows),
        _either(list[list[float]], list[float], None, description="time × feature; time, of one feature"),
    ] = None
    text: str | None = Field(default=None, description="in place of a sequence")
    attention: Annotated[
        list[list[Size]] | None,
        BeforeValidator(_in_rows),
        _either(
            list[float],
            list[list[float]],
            None,
            description="a weight for every step, or time × feature; of text, such weights for every character of the "
            "answer; null from a model without attention",
        ),
    ]
    importance: list[Size] | None = Field(
        default=None, description="by how much the prediction changes without each step"
    )
    width: int = Field(default=1, ge=1, description="neighbours that were left out together for the importance")
    baseline: Baseline | None = Field(default=None, description="what a step held that was left out for it")
    unit: str | None = Field(default=None, max_length=200, description="of the importance, as the test says it")
    prediction: Annotated[
        list[Value],
        Field(min_length=1),
        BeforeValidator(_in_list),
        _either(float, list[float], description="as it was answered; of text, the probability of the answer"),
    ]
    label: str | None = Field(default=None, description="the most probable label; null for values and texts")
    answer: str | None = Field(default=None, description="of a model that writes text: what it wrote")
