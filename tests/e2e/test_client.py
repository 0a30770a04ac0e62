"""service/client.py against a real server."""

import asyncio
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from service.client import AsyncClient, AttentionError, Client, Explanation, retry_after
from tests.serving import ROOT


@pytest.fixture
def ours(server):
    with Client(server) as client:
        yield client


def run(url, use):
    """What `use(client)` gives, with an `AsyncClient`."""

    async def main():
        async with AsyncClient(url) as client:
            return await use(client)

    return asyncio.run(main())


@contextmanager
def answering(*answers):
    """The URL of a server that gives these answers, status and headers, one after another, then 200 and no models."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            status, headers = left.pop(0) if left else (200, {})
            body = b'{"models": []}' if status == 200 else b"busy"
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", seen
        http.shutdown()


def long_table(sequences):
    """A row for each step, the steps of each sequence backwards, and the features the wrong way round."""
    rows = [
        {"name": f"s{i}", "time": t, "x1": step[1], "x0": step[0]}
        for i, sequence in enumerate(sequences)
        for t, step in enumerate(sequence)
    ]
    return pd.DataFrame(rows[::-1])


def test_lists_arrays_and_tables_give_the_same(ours, example):
    sequence = example("planted-before")
    sequences = [sequence, (np.array(sequence) / 2).tolist()]
    expected = ours.predict(sequences, "planted-before", store=False)
    assert expected.id is None
    assert len(expected.attention[1]) == 20
    for given in (np.array(sequences), [np.array(each, np.float32) for each in sequences]):
        found = ours.predict(given, "planted-before", store=False)
        np.testing.assert_allclose(found.predictions, expected.predictions, atol=1e-6)
        assert found.labels == expected.labels
    found = ours.predict(long_table(sequences), "planted-before", id="name", store=False)
    assert (found.ids, found.predictions) == (["s1", "s0"], expected.predictions[::-1])


def test_a_wide_table_has_a_row_for_each_sequence(ours, example):
    day = [value for [value] in example("italy-power")]
    table = pd.DataFrame([["a", *day], ["b", *day[::-1]]], columns=["id", *[f"h{i}" for i in range(24)]])
    found = ours.predict(table, "italy-power", top_k=1)
    assert found.ids == ["a", "b"]
    assert found.predictions == ours.predict([day, day[::-1]], "italy-power").predictions
    assert found.top[0][0]["step"] == int(np.argmax(found.attention[0]))


def test_a_long_table_whose_columns_have_other_names_is_refused_with_what_names_them(ours, example):
    sequence = example("planted-before")
    table = long_table([sequence, sequence])
    hint = r"expected columns id and time \(id= and time= name others\), received name, hour, x1, x0$"
    for hours in (range(40), pd.date_range("2026-01-01", periods=40)):
        other = table.rename(columns={"time": "hour"}).assign(hour=hours)
        with pytest.raises(AttentionError, match=hint):
            ours.predict(other, "planted-before")
    with pytest.raises(AttentionError, match=hint.replace("columns id", "columns name")):
        ours.predict(other, "planted-before", id="name")  # dates are no steps either
    assert ours.predict(other, "planted-before", id="name", time="hour", store=False).ids == ["s1", "s0"]
    with pytest.raises(AttentionError, match=r"expected a column id \(id= names another\), received name, time, x1"):
        ours.predict(table, "planted-before")


def test_a_table_that_the_server_refuses_is_said_to_have_been_taken_for_a_wide_one(server, ours, example):
    numbers = pd.DataFrame({"machine": [1, 1, 2], "hour": [0, 1, 0], "x0": 0.5, "x1": 0.5})
    said = r"422 .*: /sequences/0: expected 20 time steps, .*; no column time \(time= names another\): every row was "
    with pytest.raises(AttentionError, match=said) as caught:
        ours.predict(numbers, "planted-before")
    assert (caught.value.status, caught.value.errors[0]["pointer"]) == (422, "/sequences/0")
    with pytest.raises(AttentionError, match=said):
        run(server, lambda client: client.predict(numbers, "planted-before"))
    with pytest.raises(AttentionError, match="expected 20 time steps") as caught:
        ours.predict(numbers.to_numpy().tolist(), "planted-before")
    assert "no column" not in caught.value.detail
    with pytest.raises(AttentionError, match=r"^422 .*; no column time"):
        ours.predict(pd.DataFrame({"text": [example("dates")]}), "dates")


def test_an_explanation_draws_itself_and_is_put_to_the_test(ours, client, example):
    answer = ours.predict([example("planted-before")], "planted-before")
    found = ours.explanation(answer.id)
    assert isinstance(found, Explanation)
    assert (found.features, found.sequences[0]["top"][0]["step"]) == (["x0", "x1"], 10)
    assert found._repr_svg_().startswith("<svg")
    assert found.svg(0, method="occlusion") != found.svg()
    tested = found.faithfulness(baseline="zero")
    asked = client.get(f"/attention/{answer.id}/faithfulness?baseline=zero").json()
    assert (tested.raw, tested.verdict, tested.reason) == (asked, asked["verdict"], asked["reason"])
    ours.delete(answer.id)
    with pytest.raises(AttentionError, match="404 Not Found: expected"):
        ours.explanation(answer.id)


def test_explanations_come_page_after_page(ours, example):
    made = [ours.predict([example("tecator")], "tecator").id for _ in range(5)]
    entries = list(ours.explanations(model="tecator", limit=2))
    assert [entry.id for entry in entries][:5] == made[::-1]


def test_the_async_client_does_the_same(server, ours, example):
    async def use(client):
        answer = await client.predict([example("planted-before")], "planted-before")
        found = await client.explanation(answer.id)
        entries = [entry.id async for entry in client.explanations(model="planted-before", limit=1)]
        table = await client.predict(long_table([example("planted-before")]), "planted-before", id="name")
        test = await found.faithfulness()
        drawn, picture = found._repr_svg_(), await found.svg()
        await client.delete(answer.id)
        with pytest.raises(AttentionError, match="404 Not Found"):
            await client.explanation(answer.id)
        return answer, entries, table, test, drawn, picture

    answer, entries, table, test, drawn, picture = run(server, use)
    assert answer.id in entries
    assert table.predictions == answer.predictions
    assert (test.id, test.sequence) == (answer.id, 0)
    assert drawn == picture


def test_an_error_has_the_fields_of_the_problem(ours):
    with pytest.raises(AttentionError) as caught:
        ours.predict([[[1.0, float("nan")]] * 20], "planted-before")
    error = caught.value
    assert (error.status, error.title) == (422, "Unprocessable Content")
    assert error.errors == [{"pointer": "/sequences/0/0/1", "expected": "a finite number", "received": "NaN"}]
    assert error.request_id
    with pytest.raises(AttentionError, match="expected a column x0, received name, time"):
        ours.predict(pd.DataFrame({"name": [1], "time": [1]}), "planted-before", id="name")
    with pytest.raises(AttentionError, match=r"expected a model out of dates, .* received None"):
        ours.predict(pd.DataFrame({"id": [1], "time": [1]}))


def test_a_busy_server_is_asked_again_when_it_says_so(server):
    with answering((429, {"Retry-After": "0"}), (503, {"Retry-After": "0"})) as (url, seen), Client(url) as client:
        assert client.models() == []
    assert len(seen) == 3
    with answering((429, {"Retry-After": "0"}), (503, {"Retry-After": "0"})) as (url, seen):
        assert run(url, lambda client: client.models()) == []
    assert len(seen) == 3


def test_what_takes_too_long_or_is_no_matter_of_time_is_not_asked_again():
    for answer in ((503, {"Retry-After": "31"}), (500, {"Retry-After": "0"})):
        assert asked_until_it_fails(answer) == (answer[0], 1)
    assert asked_until_it_fails(*[(429, {"Retry-After": "0"})] * 9, retries=2) == (429, 3)


def asked_until_it_fails(*answers, **options):
    """The status of the error, and how often the server was asked."""
    with (
        answering(*answers) as (url, seen),
        Client(url, **options) as client,
        pytest.raises(AttentionError, match=f"^{answers[0][0]} .*: busy$") as caught,
    ):
        client.models()
    return caught.value.status, len(seen)


def test_a_server_that_is_not_there_is_an_error_of_the_same_kind():
    with (
        Client("http://127.0.0.1:9", retries=0) as client,
        pytest.raises(AttentionError, match="expected an answer") as caught,
    ):
        client.models()
    assert caught.value.status is None


def test_retry_after_may_be_a_date():
    import httpx

    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert retry_after(httpx.Response(503, headers={"Retry-After": later})) == pytest.approx(20, abs=5)
    assert retry_after(httpx.Response(503)) is None
    assert retry_after(httpx.Response(503, headers={"Retry-After": "soon"})) is None


def test_it_needs_nothing_but_httpx():
    code = "import service.client, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert not {"onnxruntime", "numpy", "fastapi", "pydantic", "pandas", "msgspec"} & set(loaded.split())
    source = (ROOT / "service" / "client.py").read_text()
    assert re.findall(r"^ *(?:from|import) service", source, re.MULTILINE) == ["    from service"]  # of its docstring
