"""Kept explanations as files, read back with what people read such files with."""

import io
import json
import shutil

import httpx
import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from tests.service.graphs import mean_model, write_model
from tests.serving import MODELS, serving

SEQUENCES = [[[1, 2], [3, 4], [5, 6]], [[0.5, 0.1], [0.1, 0.1], [0.1, 0.4]]]
BINARY = {"task": "binary", "labels": ["no", "yes"]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name in ("japanese-vowels", "dates"):
        shutil.copytree(MODELS / name, root / name)
    write_model(root, "labels", attention="shared", declare=BINARY)
    write_model(root, "each", attention="per_feature")
    write_model(root, "each", attention="per_feature", version=2, graph=mean_model("per_feature", scale=2))
    return root


@pytest.fixture(scope="module")
def client(models, store):
    with serving(models=models, store=store) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def empty(client):
    client.delete("/attention", params={"until": "2100-01-01"})


def predict(client, *sequences, model="labels", **fields):
    body = {"model": model, "sequences": sequences or SEQUENCES, "attention": "per_step", **fields}
    return client.post("/predict", json=body).raise_for_status().json()


def export(client, format, **query):
    answer = client.get(f"/attention/export.{format}", params=query).raise_for_status()
    assert f"-1.{format}" in answer.headers["content-disposition"]
    return io.BytesIO(answer.content)


def read_parquet(file):
    return parquet.read_table(file).to_pandas()


@pytest.mark.parametrize(("format", "read"), [("csv", pd.read_csv), ("parquet", read_parquet)])
def test_a_row_for_each_step(client, format, read):
    answers = [predict(client) for _ in range(20)][::-1]  # more than a page
    frame = read(export(client, format, model="labels"))
    assert " ".join(frame.columns) == "id created model version sequence label prediction step x0 x1 weight"
    assert len(frame) == 20 * 2 * 3
    assert frame["id"].drop_duplicates().tolist() == [answer["id"] for answer in answers]
    first = frame[frame["id"] == answers[0]["id"]]
    assert first["sequence"].tolist() == [0, 0, 0, 1, 1, 1]
    assert first["step"].tolist() == [0, 1, 2, 0, 1, 2]
    assert first["label"].tolist() == ["yes"] * 3 + ["no"] * 3
    assert first[["x0", "x1"]].to_numpy() == pytest.approx(np.concatenate(SEQUENCES), rel=1e-6)
    assert first["weight"].to_numpy() == pytest.approx(np.concatenate(answers[0]["attention"]), rel=1e-5)
    assert first["prediction"].to_numpy() == pytest.approx(np.repeat(answers[0]["predictions"], 3), rel=1e-6)
    shown = [entry["created"] for entry in client.get("/attention", params={"limit": 1000}).json()["explanations"]]
    assert pd.to_datetime(frame["created"], utc=True).unique().tolist() == [pd.Timestamp(time) for time in shown]
    assert len(read(export(client, format, model="labels", limit=3))) == 3 * 2 * 3


def test_each_class_has_a_column(client):
    examples = json.loads((MODELS / "japanese-vowels" / "1" / "model.json").read_text())["examples"]
    answer = predict(client, examples[0]["sequence"], model="japanese-vowels")
    frame = pd.read_csv(export(client, "csv", model="japanese-vowels"))
    names = [name for name in frame.columns if name.startswith("prediction")]
    assert names == [f"prediction {name}" for name in client.get(f"/attention/{answer['id']}").json()["classes"]]
    assert frame[names].to_numpy() == pytest.approx(np.repeat(answer["predictions"], len(frame), axis=0), rel=1e-6)


@pytest.mark.parametrize(
    ("format", "read"),
    [("csv", lambda file: pd.read_csv(file)["id"]), ("npz", lambda file: np.load(file)["ids"])],
)
def test_the_link_goes_on_to_the_last_explanation(client, format, read):
    versions = (1, 1, 1, 2, 1, 1)  # without a version, a file is of that of the newest, and so are those that follow
    ids = [predict(client, model="each", version=version)["id"] for version in versions]
    made = [id for id, version in zip(ids, versions, strict=True) if version == 1][::-1]
    url, files = f"/attention/export.{format}?model=each&limit=2", []
    while url:
        answer = client.get(url).raise_for_status()
        files.append(list(dict.fromkeys(read(io.BytesIO(answer.content)).tolist())))
        predict(client, model="each", version=1)  # is in none of the files that follow
        url = answer.links.get("next", {}).get("url")
    assert files == [made[:2], made[2:4], made[4:]]


def test_arrays(client):
    answers = [predict(client, SEQUENCES[0]), predict(client)][::-1]
    arrays = np.load(export(client, "npz", model="labels"))
    assert arrays["ids"].tolist() == [answers[0]["id"]] * 2 + [answers[1]["id"]]
    assert arrays["index"].tolist() == [0, 1, 0]
    assert arrays["lengths"].tolist() == [3, 3, 3]
    assert arrays["labels"].tolist() == ["yes", "no", "yes"]
    assert arrays["sequences"] == pytest.approx(np.array([*SEQUENCES, SEQUENCES[0]]))
    assert arrays["attention"] == pytest.approx(np.array(answers[0]["attention"] + answers[1]["attention"]))
    assert arrays["predictions"][:, 0] == pytest.approx(answers[0]["predictions"] + answers[1]["predictions"])


def test_weights_by_feature_have_columns_of_one_version(client):
    newest = [predict(client, model="each", version=version) for version in (2, 1)][1]
    frame = pd.read_csv(export(client, "csv", model="each"))
    assert frame["id"].unique().tolist() == [newest["id"]]
    by_feature = frame[["weight x0", "weight x1"]]
    assert frame["weight"].to_numpy() == pytest.approx(by_feature.mean(axis=1).to_numpy(), abs=1e-6)
    assert by_feature[:3].sum().tolist() == pytest.approx([1, 1], abs=1e-5)
    assert "each-2.csv" in client.get("/attention/export.csv?model=each&version=2").headers["content-disposition"]


@pytest.mark.parametrize(("format", "read"), [("csv", pd.read_csv), ("parquet", read_parquet)])
def test_of_texts_a_row_for_each_character_written_and_read(client, format, read):
    texts = ["3 May 1999", "Di. 5 Dez. 1916", "😀 3.4.2001"]
    answer = predict(client, *texts, model="dates")
    frame = read(export(client, format, model="dates"))
    assert " ".join(frame.columns[:7]) == "id created model version sequence prediction probability"
    assert " ".join(frame.columns[7:]) == "out_step out_character in_step in_character weight"
    for index, text in enumerate(texts):
        rows, weights = frame[frame["sequence"] == index], np.array(answer["attention"][index])
        written = answer["predictions"][index]
        assert set(rows["prediction"]) == {written}
        assert rows["probability"].to_numpy() == pytest.approx(answer["probabilities"][index])
        table = rows.pivot(index="out_step", columns="in_step", values="weight").to_numpy()
        np.testing.assert_allclose(table, weights, atol=1e-6)
        assert "".join(rows.drop_duplicates("out_step")["out_character"].astype(str)) == written
        assert "".join(rows.drop_duplicates("in_step")["in_character"].astype(str)) == text


def test_of_texts_arrays_are_padded(client):
    predict(client, "3 May 1999", model="dates")
    answer = predict(client, "Di. 5 Dez. 1916", model="dates")
    arrays = np.load(export(client, "npz", model="dates"))
    assert arrays["texts"].tolist() == ["Di. 5 Dez. 1916", "3 May 1999"]
    assert arrays["predictions"].tolist() == ["1916-12-05", "1999-05-03"]
    assert arrays["attention"].shape == (2, 10, 15)
    assert (arrays["lengths"].tolist(), arrays["out_lengths"].tolist()) == ([15, 10], [10, 10])
    assert arrays["attention"][0] == pytest.approx(np.array(answer["attention"][0]))
    assert not arrays["attention"][1, :, 10:].any()
    assert arrays["probabilities"][0] == pytest.approx(answer["probabilities"][0])


def test_what_cannot_be_exported_says_why(client):
    missing = client.get("/attention/export.csv")
    assert missing.json()["errors"][0]["pointer"] == "the query parameter model"
    nothing = client.get("/attention/export.npz", params={"model": "labels", "label": "yes"})
    assert nothing.status_code == 404
    assert nothing.json()["detail"].endswith("received one that none does: model=labels, label=yes")
