"""What one gives the explorer page: a file of one's own, in the forms that spreadsheets and loggers write."""

import json

from playwright.sync_api import expect

from tests.e2e.browsing import drop, excuse
from tests.serving import MODELS


def test_a_dropped_file_is_predicted_and_what_is_wrong_with_one_is_said(visit, client, example):
    sequence = example("planted-before")
    answer = client.post("/predict", json={"model": "planted-before", "sequences": [sequence], "store": False}).json()
    with visit("/?model=planted-before") as page:
        headline = page.locator("#headline")
        expect(headline).not_to_be_empty()
        drop(page, "machine.csv", "x1,time,x0\n" + "\n".join(f"{b},{i},{a}" for i, (a, b) in enumerate(sequence)))
        expect(page.get_by_role("button", name="Example 1")).to_have_attribute("aria-pressed", "false")
        expect(headline).to_have_text(answer["labels"][0])
        page.get_by_role("button", name="Example 1").click()
        expect(page.locator("#sure")).to_contain_text("the true answer")
        drop(page, "machine.csv", "x0,x1\n1,2\n3,oops\n")
        expect(page.get_by_role("alert")).to_contain_text('line 3: expected a number, received "oops"')
        expect(page.locator("#sure")).to_contain_text("the true answer")  # what was there stays
        expect(page.get_by_role("button", name="Example 1")).to_have_attribute("aria-pressed", "true")
        drop(page, "short.json", json.dumps({"sequences": [sequence, sequence[:19]]}))
        expect(page.get_by_role("alert")).to_contain_text(
            "sequence 2: expected 20 time steps"
        )  # as they are counted above
        expect(page.get_by_role("button", name="Example 1")).to_have_attribute("aria-pressed", "true")
        excuse(page, "422")
        drop(page, "two.json", json.dumps([sequence, sequence]))
        expect(page.get_by_role("combobox", name="Sequence")).to_be_visible()
        page.get_by_role("button", name="Keep and link").click()
        page.wait_for_url("**/attention/*")
        page.get_by_role("combobox", name="Sequence").select_option("2 of 2")
        page.wait_for_url("**/attention/*?sequence=1")
        page.reload()
        expect(page.get_by_role("combobox", name="Sequence")).to_have_value("1")
        expect(page.get_by_role("alert")).to_be_hidden()


def test_three_faults_of_many_are_shown_until_they_are_closed(visit):
    with visit("/?model=planted-before") as page:
        expect(page.locator("#headline")).not_to_be_empty()
        drop(page, "holes.json", json.dumps([[[1, None]] * 20] * 30))
        alert = page.get_by_role("alert")
        expect(alert.get_by_role("listitem")).to_have_count(4)
        expect(alert).to_contain_text("sequence 3, step 0, column 2: expected a number, received null")
        expect(alert).to_contain_text("and 27 more")
        excuse(page, "422")
        mask = page.get_by_role("button", name="Mask").bounding_box()
        alert.get_by_role("button", name="Close").click()
        expect(alert).to_be_hidden()
        assert page.get_by_role("button", name="Mask").bounding_box() == mask  # nothing moves


def test_a_file_can_be_opened_again(visit, example, tmp_path):
    path = tmp_path / "mine.json"
    with visit("/?model=planted-before") as page:
        page.get_by_role("button", name="Your own…").click()
        for sequence, steps in ((example("planted-before")[:3], "received 3"), (example("planted-before")[:4], "4")):
            path.write_text(json.dumps(sequence))
            page.get_by_label("Open a file…").set_input_files(path)
            expect(page.get_by_role("alert")).to_contain_text(steps)
            excuse(page, "422")
            assert page.get_by_label("Open a file…").input_value() == ""


def test_columns_that_are_called_otherwise_are_said_to_be_taken_by_their_places(visit, example):
    with visit("/?model=planted-before") as page:
        expect(page.locator("#headline")).to_have_text("0")
        drop(page, "mine.csv", "a;b\n" + "\n".join(f"{a};{b}" for a, b in example("planted-before")))
        expect(page.locator("#own-note")).to_contain_text("a, b were taken for x0, x1")


SERIES = {"features": ["load"], "vocabulary": None}
PAIRS = {"features": ["x0", "x1"], "vocabulary": None}
EITHER = "expected a number or several, received 1,5, which may be either: write 1.5 for one, or 1;5 for two"
COMMAS = "line 1: expected 2 columns (x0, x1), received 4; where commas are in the numbers, write ; between them"
TIMES = "expected a time, as 7 or 2026-01-31 or 2026-01-31T12:00, all alike"
GIVEN = [
    (SERIES, "1\n2\n3\n", [[[1], [2], [3]]]),
    (SERIES, "1,2,3\n4,5,6", [[[1], [2], [3]], [[4], [5], [6]]]),
    (SERIES, "1,2,3,\n4,5,6,", [[[1], [2], [3]], [[4], [5], [6]]]),
    (SERIES, "1 2 3\n4 5 6", [[[1], [2], [3]], [[4], [5], [6]]]),
    (SERIES, "1.5,2.5\n3.5,4.5", [[[1.5], [2.5]], [[3.5], [4.5]]]),
    (SERIES, "1,5;2,5\n", [[[1.5], [2.5]]]),
    (SERIES, "hour;load\n0;1.5\n1;2", [[[1.5], [2]]]),
    (SERIES, "hour;load\n0;1,5\n1;2", [[[1.5], [2]]]),
    (SERIES, "power demand\n1\n2", [[[1], [2]]]),
    (SERIES, "1,5\n2\n3,25", f"line 1: {EITHER}"),
    (SERIES, "load\n2\n1,5", f"line 3: {EITHER}"),
    (SERIES, "[1, 2]", [[[1], [2]]]),
    (SERIES, "[[1], [2]]", [[[1], [2]]]),
    (SERIES, "[[1, 2], [3, 4]]", [[[1], [2]], [[3], [4]]]),
    (SERIES, "h0,h1,h2\n4,5,6\n7,8,", [[[4], [5], [6]], [[7], [8]]]),
    (SERIES, ",h0,h1\n0,4,5\n1,6,7", [[[4], [5]], [[6], [7]]]),
    (SERIES, "0,1,2\n4,5,6", [[[4], [5], [6]]]),
    (SERIES, ",0,1,2\n0,4,5,6", [[[4], [5], [6]]]),
    (SERIES, "1,2,3,4\n5,6,7,8", [[[5], [6], [7], [8]]]),
    (SERIES, "id,1,2\nb,4,5\na,6,7", [[[4], [5]], [[6], [7]]]),
    (SERIES, "id,h0,h1,target\n7,4,5,warm", [[[4], [5]]]),
    (SERIES, "0,1\n0,2\n0,3", f"line 1: {EITHER.replace('1,5', '0,1').replace('1.5', '0.1').replace('1;5', '0;1')}"),
    (SERIES, "h0,h1\n4,5", [[[4], [5]]]),
    (SERIES, "0,1,2", [[[0], [1], [2]]]),
    (SERIES, "0\n1\n2", [[[0], [1], [2]]]),
    (SERIES, "id,time,load\nb,2,1.5\na,1,3\nb,1,4", [[[4], [1.5]], [[3]]]),
    (SERIES, "id,time,power\nb,2,1\nb,10,2\nb,1,3", [[[3], [1], [2]]]),
    (SERIES, "h0,h1\n1,2,3", "line 2: expected 2 columns (h0, h1), received 3"),
    (SERIES, "h0,h1\n1,x", 'line 2: expected a number, received "x"'),
    (SERIES, "time,a,b\n1,2,3", "expected a column for each of load, received time, a, b: load is missing"),
    (PAIRS, "0,1\n3,4", [[[3, 4]]]),
    (PAIRS, ",0,1\n0,3,4\n1,5,6", [[[3, 4], [5, 6]]]),
    (PAIRS, "1,2\n3,4", [[[1, 2], [3, 4]]]),
    (PAIRS, "X1;ID;x0\n1,5;7;2\n3;8;4\n5;7;6", [[[2, 1.5], [6, 5]], [[4, 3]]]),
    (PAIRS, "id,time,x0,x1\na,2026-01-02,1,2\na,2026-01-01,3,4", [[[3, 4], [1, 2]]]),
    (PAIRS, "id,time,x0,x1\na,2026-01-02 10:00,1,2\na,2026-01-02 09:30,3,4", [[[3, 4], [1, 2]]]),
    (PAIRS, "time,x0,x1\n2,1,2\n1,3,4", [[[1, 2], [3, 4]]]),
    (PAIRS, "id,time,x0,x1\na,2,1,2\na,today,3,4", f'line 2: {TIMES}, received "2"'),
    (PAIRS, "id,x0,x1\na,1,2\n,3,4", 'line 3: expected an id, received ""'),
    (PAIRS, "1\t2\r\n3\t4", [[[1, 2], [3, 4]]]),
    (PAIRS, "\n\n1\t2\n3,5\t4", [[[1, 2], [3.5, 4]]]),
    (PAIRS, "1,2,\n3,4,\n", [[[1, 2], [3, 4]]]),
    (PAIRS, "x0,x1\n1,2,\n", [[[1, 2]]]),
    (PAIRS, "x1 x0\n1 2\n3  4", [[[2, 1], [4, 3]]]),
    (PAIRS, ",X1,X0\n0,2,1", [[[1, 2]]]),
    (PAIRS, "a,b\n1,2", [[[1, 2]]]),
    (PAIRS, "[[[1, 2]]]", [[[1, 2]]]),
    ({"features": ["character"], "vocabulary": {}}, "3. Mai 2016\n\n4. Mai", ["3. Mai 2016", "4. Mai"]),
    (PAIRS, "1,2\n3\n", "line 2: expected 2 columns (x0, x1), received 1"),
    (PAIRS, "1,2\n3,\n", 'line 2: expected a number, received ""'),
    (
        PAIRS,
        "1,5,2,5\n",
        "line 1: expected 2 columns (x0, x1), received 4; where commas are in the numbers, write ; between them",
    ),
    (PAIRS, "n/a,2\n3,4", 'line 1: expected a number, received "n/a"'),
    (PAIRS, "x0,time,y\n1,2,3", "expected a column for each of x0, x1, received x0, time, y: x1 is missing"),
    (PAIRS, "time,x0\n1,2", "expected a column for each of x0, x1, received time, x0: x1 is missing"),
    (PAIRS, "x0,x1\n", "expected lines of numbers below the names, received none"),
    (PAIRS, " ", "expected CSV (a line for each step; 2 columns: x0, x1) or JSON ([[1, 2, …], …]), received nothing"),
    (PAIRS, "{}", 'expected a list, or {"sequences": [...]}, received another object'),
]


def test_what_may_be_given_in_which_form(visit):
    read = """async ([text, manifest]) => {
        const { readGiven } = await import("/web/given.js");
        try { return readGiven(text, manifest).sequences; } catch (error) { return error.message; }
    }"""
    with visit() as page:
        for manifest, text, expected in GIVEN:
            assert page.evaluate(read, [text, manifest]) == expected, text


NOTES = [
    (PAIRS, "x0,x1\n1,2", None),
    (PAIRS, "id,time,x0,x1\na,1,2,3", None),
    (PAIRS, "machine,x0,time,x1\n7,1,1,2", "machine, time were not used."),
    (PAIRS, ",x0,x1,machine\n0,1,2,7", "machine was not used."),
    (SERIES, "hour;load\n0;1.5\n1;2", "hour was not used."),
    (SERIES, "0;1\n3;4", "The first line, 0, 1, was taken for the names of the columns."),
    (SERIES, "h0,h1,target\n4,5,1", "No column is called load: each line was taken for a sequence, its steps h0, h1."),
    (SERIES, "1;2\n3;4", "The first line, 1, 2, was taken for values."),
    (PAIRS, ",0,1\n0,3,4", "The first line, 0, 1, was taken for the names of the columns. None of the columns"),
    (SERIES, "h0,h1,target\n4,5,1", "target was not used."),
    (PAIRS, "id,a,b\n1,2,3", "a, b were taken for x0, x1, in this order."),
]


def test_what_was_taken_for_granted_is_said(visit):
    read = "async ([text, manifest]) => (await import('/web/given.js')).readGiven(text, manifest).note"
    with visit() as page:
        for manifest, text, expected in NOTES:
            note = page.evaluate(read, [text, manifest])
            assert note == expected if expected is None else expected in note, (text, note)


def test_a_long_table_of_several_sequences_is_answered_as_several(visit, client):
    examples = json.loads((MODELS / "japanese-vowels/1/model.json").read_text())["examples"][:2]
    sequences = [example["sequence"] for example in examples]
    answer = client.post("/predict", json={"model": "japanese-vowels", "sequences": sequences, "store": False}).json()
    steps = [(id, time, row) for id, sequence in enumerate(sequences) for time, row in enumerate(sequence)]
    lines = [f"{id},{time},{','.join(map(str, row))}" for id, time, row in sorted(steps, key=lambda step: -step[1])]
    first = max((0, 1), key=lambda index: len(sequences[index]))
    header = ",".join(["id", "time", *(f"lpc{number}" for number in range(1, 13))])
    with visit("/?model=japanese-vowels") as page:
        expect(page.locator("#headline")).not_to_be_empty()
        drop(page, "long.csv", "\n".join([header, *lines]))
        which = page.get_by_role("combobox", name="Sequence")
        expect(which.locator("option")).to_have_text(["1 of 2", "2 of 2"])
        expect(page.locator("#headline")).to_have_text(answer["labels"][first])
        which.select_option("2 of 2")
        expect(page.locator("#headline")).to_have_text(answer["labels"][1 - first])
        expect(page.locator("#own-note")).to_be_empty()
