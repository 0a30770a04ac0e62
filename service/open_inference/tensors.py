"""The arrays of a request: JSON, or bytes behind it. As much must have come as the shape says, before it is used."""

import math
import struct
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import FailFast, Field, TypeAdapter, ValidationError

from service.errors import Invalid
from service.open_inference.schemas import InputTensor
from service.reading import Number, describe, expected_by

Array = np.ndarray | list[str]
DTYPES = {"FP32": np.dtype("<f4"), "INT32": np.dtype("<i4")}
BINARY = "binary_data_size"
_adapters: dict[str, TypeAdapter[list[Any]]] = {
    "FP32": TypeAdapter(Annotated[list[Number], FailFast()]),
    "INT32": TypeAdapter(Annotated[list[Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]], FailFast()]),
    "BYTES": TypeAdapter(Annotated[list[Annotated[str, Field(strict=True)]], FailFast()]),
}


def read_tensors(tensors: list[InputTensor], binary: memoryview, datatypes: dict[str, str]) -> dict[str, Array]:
    """The arrays by name; text as a list.

    Args:
        tensors: as the JSON has them.
        binary: the bytes behind the JSON.
        datatypes: the names that there may be, and the datatype of each.

    Raises:
        Invalid: a tensor is unknown, twice there, of another datatype, or its data are not as much as its shape says.
    """
    arrays: dict[str, Array] = {}
    for index, tensor in enumerate(tensors):
        place = f"/inputs/{index}"
        if tensor.name not in datatypes or tensor.name in arrays:
            received = f"{describe(tensor.name)}{' twice' * (tensor.name in arrays)}"
            raise Invalid.at(f"{place}/name", f"inputs out of {list(datatypes)}, each once", received)
        if tensor.datatype != datatypes[tensor.name]:
            raise Invalid.at(f"{place}/datatype", f"{datatypes[tensor.name]}", describe(tensor.datatype))
        count = _count(tensor, place)
        if (size := _binary_size(tensor, place)) is None:
            arrays[tensor.name] = _from_json(tensor, count, place)
            continue
        if size > len(binary):
            raise Invalid.at(
                f"{place}/parameters/{BINARY}", f"at most the {len(binary)} bytes that are left", f"{size}"
            )
        arrays[tensor.name] = _from_bytes(tensor, count, binary[:size], place)
        binary = binary[size:]
    if len(binary):
        raise Invalid.at("", "no more bytes than the inputs' binary_data_size say", f"{len(binary)} more")
    return arrays


def _count(tensor: InputTensor, place: str) -> int:
    """How many values its shape says, one at least."""
    for axis, size in enumerate(tensor.shape):
        if size < 1:
            raise Invalid.at(f"{place}/shape/{axis}", "1 or more", describe(size))
    if not tensor.shape:
        raise Invalid.at(f"{place}/shape", "an axis at least", "none")
    return math.prod(tensor.shape)


def _binary_size(tensor: InputTensor, place: str) -> int | None:
    """Bytes of its data; None where they are in the JSON."""
    size = (tensor.parameters or {}).get(BINARY)
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Invalid.at(f"{place}/parameters/{BINARY}", "a number of bytes", describe(size))
    if tensor.data is not None:
        raise Invalid.at(f"{place}/data", f"none beside {BINARY}", "some")
    return size


def _from_bytes(tensor: InputTensor, count: int, data: memoryview, place: str) -> Array:
    if tensor.datatype == "BYTES":
        return _texts(count, data, place)
    dtype = DTYPES[tensor.datatype]
    if len(data) != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize} bytes for the shape {_shape(tensor)}"
        raise Invalid.at(f"{place}/parameters/{BINARY}", expected, f"{len(data)}")
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def _texts(count: int, data: memoryview, place: str) -> list[str]:
    """Texts as the protocol has them: length (4 bytes, little-endian) and UTF-8 bytes of each."""
    texts: list[str] = []
    at = 0
    while at < len(data):
        end = at + 4
        if end <= len(data):
            end += struct.unpack_from("<I", data, at)[0]
        if end > len(data):
            raise Invalid.at(f"{place} (element {len(texts)})", "its length in 4 bytes, then as many", "fewer bytes")
        try:
            texts.append(str(data[at + 4 : end], "utf-8"))
        except UnicodeDecodeError as error:
            raise Invalid.at(f"{place} (element {len(texts)})", "UTF-8", f"{error}") from error
        at = end
    if len(texts) != count:
        raise Invalid.at(f"{place}/shape", f"{count} texts", f"{len(texts)}")
    return texts


def _from_json(tensor: InputTensor, count: int, place: str) -> Array:
    if tensor.data is None:
        raise Invalid.at(f"{place}/data", f"data, or {BINARY} among the parameters", "neither")
    flat = _flatten(tensor.data, tensor.shape, place)
    if len(flat) != count:
        raise Invalid.at(f"{place}/data", f"{count} values for the shape {_shape(tensor)}", f"{len(flat)}")
    try:
        values = _adapters[tensor.datatype].validate_python(flat)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        index = int(detail["loc"][0])
        within = ", ".join(str(i) for i in np.unravel_index(index, tensor.shape))
        element = f"{place}/data/{index} (element [{within}])"
        raise Invalid.at(element, expected_by(detail), describe(detail["input"])) from error
    if tensor.datatype == "BYTES":
        return values
    with np.errstate(over="ignore"):  # what does not fit is not finite, and found with the rest of that
        return np.array(values, np.float64).astype(DTYPES[tensor.datatype]).reshape(tensor.shape)


def _flatten(data: list[Any], shape: list[int], place: str) -> list[Any]:
    """Data that are nested as the shape, without their nesting; flat ones as they are."""
    for size in shape[1:]:
        if not data or not isinstance(data[0], list):
            break
        for index, inner in enumerate(data):
            if not isinstance(inner, list) or len(inner) != size:
                raise Invalid.at(f"{place}/data", f"lists of {size}", f"{describe(inner)} (list {index} of its depth)")
        data = list(chain.from_iterable(data))
    return data


def _shape(tensor: InputTensor) -> str:
    text = str(tensor.shape)
    return text if len(text) <= 60 else text[:59] + "…"
