"""Run by test_clients.py with a Python that has tritonclient and kserve: HOST:PORT, a folder of arrays, prints JSON.

`MODEL.sequences.npy`, `MODEL.lengths.npy` or `MODEL.texts.json` go in; `CLIENT.MODEL.OUTPUT.npy` come out.
"""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, folder = sys.argv[1], Path(sys.argv[2])
models = json.loads((folder / "models.json").read_text())
DATATYPES = {"f": "FP32", "i": "INT32", "O": "BYTES"}


def inputs_of(model):
    """What goes into a model, by name."""
    texts = folder / f"{model}.texts.json"
    if texts.exists():
        return {"sequences": np.array(json.loads(texts.read_text()), np.object_)}
    paths = {name: folder / f"{model}.{name}.npy" for name in ("sequences", "lengths")}
    return {name: np.load(path) for name, path in paths.items() if path.exists()}


def write(client, model, name, array):
    """Keeps what came out; texts as Python's str."""
    if array.dtype.kind == "O":
        array = np.array([text.decode() if isinstance(text, bytes) else text for text in array.ravel()])
    np.save(folder / f"{client}.{model}.{name}.npy", array)


def ask_triton(client, model, binary, **options):
    """Every output of a model, as JSON or as bytes."""
    arrays = inputs_of(model)
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, array.shape, DATATYPES[array.dtype.kind])
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    outputs = None
    if not binary:
        names = [output["name"] for output in client.get_model_metadata(model)["outputs"]]
        outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in names]
    return client.infer(model, inputs, outputs=outputs, request_id=f"id of {model}", **options)


def use_triton():
    """Metadata, inference, load and unload."""
    found = {"metadata": {}}
    with triton.InferenceServerClient(address) as client:
        found["live"], found["ready"] = client.is_server_live(), client.is_server_ready()
        found["server"] = client.get_server_metadata()
        for model in models:
            found["metadata"][model] = client.get_model_metadata(model, "1")
            for way, binary in (("triton-binary", True), ("triton-json", False)):
                result = ask_triton(client, model, binary, priority=1, timeout=20_000_000)
                assert result.get_response()["id"] == f"id of {model}"
                for output in result.get_response()["outputs"]:
                    write(way, model, output["name"], result.as_numpy(output["name"]))
        for encoding in ("gzip", "deflate"):
            ask_triton(client, models[0], True, request_compression_algorithm=encoding)
        kept = ask_triton(client, models[0], True, parameters={"store": True}).get_response()
        found["explanation"] = kept["parameters"]["explanation"]
        try:
            tensor = triton.InferInput("sequences", [1], "BYTES")
            client.infer("nope", [tensor.set_data_from_numpy(np.array(["x"], np.object_))])
        except triton.InferenceServerException as error:
            found["error"] = [error.status(), error.message()]
        client.unload_model(models[0])
        found["ready when unloaded"] = client.is_model_ready(models[0])
        client.load_model(models[0])
        found["ready when loaded"] = client.is_model_ready(models[0], "1")
        found["index"] = client.get_model_repository_index()
    return found


async def use_kserve():
    """The same of KServe's, which has no load and unload."""
    found, url = {}, f"http://{address}"
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
        found["live"], found["ready"] = await client.is_server_live(url), await client.is_server_ready(url)
        for model in models:
            found["model ready"] = await client.is_model_ready(url, model)
            for way, binary in (("kserve-binary", True), ("kserve-json", False)):
                arrays = inputs_of(model)
                inputs = [
                    InferInput(name, list(array.shape), DATATYPES[array.dtype.kind]) for name, array in arrays.items()
                ]
                for tensor, array in zip(inputs, arrays.values(), strict=True):
                    tensor.set_data_from_numpy(array, binary_data=binary)
                request = InferRequest(model, inputs, request_id="mine", parameters={"binary_data_output": binary})
                answer = await client.infer(url, request, model_name=model)
                assert answer.id == "mine"
                for output in answer.outputs:
                    write(way, model, output.name, output.as_numpy())
    return found


print(json.dumps({"triton": use_triton(), "kserve": asyncio.run(use_kserve())}))
