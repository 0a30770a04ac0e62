"""From an engineer's own file of texts to a served model by two commands, and the committed one over HTTP."""

import itertools

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.serving import serving
from training.__main__ import cli


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A model that was fitted on a file of part numbers as people type them, and as the catalogue has them."""
    folder = tmp_path_factory.mktemp("parts")
    numbers = ["".join(digits) for digits in itertools.product("0123456789", repeat=3)]
    rows = [
        f"{a} {n},{a.upper()}-{n}"
        for a, n in itertools.product("abc", np.random.default_rng(0).permutation(numbers)[:300])
    ]
    (folder / "parts.csv").write_text("\n".join(["typed,catalogue", *rows]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in (
            "fit-text parts.csv --source typed --target catalogue --units 24 --epochs 12 --learning-rate 0.01",
            "export runs/parts --name parts",
        ):
            result = CliRunner().invoke(cli, command.split(), catch_exceptions=False)
            assert result.exit_code == 0, result.output
    return folder / "models"


def test_texts_of_ones_own_become_a_served_model_by_two_commands(published):
    with serving(models=published) as server:
        answer = httpx.post(f"{server.url}/predict", json={"sequences": ["b 123", "c 9", "a 555€"], "top_k": 1}).json()
    assert answer["predictions"][0] == "B-123"
    assert answer["unknown"] == [[], [], [{"step": 5, "character": "€"}]]
    assert len(answer["attention"][0]) == len("B-123")
    for weights, text, written in zip(
        answer["attention"], ["b 123", "c 9", "a 555€"], answer["predictions"], strict=True
    ):
        assert np.shape(weights) == (len(written), len(text))
        np.testing.assert_allclose(np.sum(weights, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("fit-text nothing.csv", "No such file or directory: 'nothing.csv'"),
        ("fit-text dates --source a", "expected --source with pairs of your own only, received dates"),
        ("fit-text pairs.csv --n 5", "expected --n with dates only, received pairs.csv"),
        ("fit-text dates --n 3", "expected n of at least 10, received 3"),
    ],
)
def test_what_cannot_be_is_said(command, fault):
    result = CliRunner().invoke(cli, command.split())
    assert result.exit_code == 1
    assert fault in result.output


DATES = [
    ("3. Mai 2016", "2016-05-03"),
    ("Tuesday, May 3, 2016", "2016-05-03"),
    ("03.05.2016", "2016-05-03"),
    ("3 mai 2016", "2016-05-03"),
    ("2016年5月3日", "2016-05-03"),
    ("28 grudnia 1999", "1999-12-28"),
    ("1945/09/02", "1945-09-02"),
]


def test_dates_of_many_countries_in_one_request_in_any_order_alone_or_together(client):
    def predict(texts, **options):
        answer = client.post("/predict", json={"model": "dates", "sequences": texts, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()

    texts = [text for text, _ in DATES]
    together = predict(texts)
    assert together["predictions"] == [iso for _, iso in DATES]
    assert min(together["probabilities"]) > 0.9
    assert predict(texts, beam=4)["predictions"] == together["predictions"]
    backwards = predict(texts[::-1])
    for i, text in enumerate(texts):
        alone = predict([text])
        for one, place in ((together, i), (backwards, len(texts) - 1 - i)):
            np.testing.assert_allclose(alone["attention"][0], one["attention"][place], atol=1e-5)


def test_the_year_of_the_answer_looks_at_the_year_of_the_text(client):
    [weights] = client.post("/predict", json={"model": "dates", "sequences": ["Dienstag, 3. Mai 2016"]}).json()[
        "attention"
    ]
    assert all(17 <= step < 21 for step in np.argmax(weights[:4], axis=1))


def test_the_explanation_of_a_text_is_kept_and_drawn(client):
    answer = client.post("/predict", json={"model": "dates", "sequences": ["3. Mai 2016", "4 maj 1999"]}).json()
    kept = client.get(f"/attention/{answer['id']}").json()
    assert kept["attention_axes"] == ["out_time", "in_time"]
    assert [one["sequence"] for one in kept["sequences"]] == ["3. Mai 2016", "4 maj 1999"]
    assert [one["prediction"] for one in kept["sequences"]] == answer["predictions"]
    assert [one["attention"] for one in kept["sequences"]] == answer["attention"]
    assert len(kept["sequences"][0]["top"]) == len("2016-05-03")
    picture = client.get(f"/attention/{answer['id']}.svg", params={"sequence": 1}).text
    assert "1999-05-04" in picture
    assert "4 maj 1999" in picture


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ({"model": "dates", "sequences": ["1 May 2000", [[1]]]}, "/sequences/1: expected a text, received a list of 1"),
        ({"model": "dates", "sequences": [""]}, "/sequences/0: expected 1 to 10000 characters, received 0"),
        ({"model": "dates", "sequences": ["1"], "beam": 17}, "/beam: expected less than or equal to 16, received 17"),
        ({"model": "italy-power", "sequences": [[1] * 24], "beam": 2}, "/beam: expected no width of a search"),
        ({"model": "italy-power", "sequences": ["1 May"]}, "/sequences/0: expected a list of time steps"),
        ({"model": "dates", "sequences": ["1"], "attention": "per_feature"}, '/attention: expected "per_step"'),
    ],
)
def test_what_is_wrong_with_a_text_is_said_with_its_place(client, request_, fault):
    answer = client.post("/predict", json=request_)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(fault)
