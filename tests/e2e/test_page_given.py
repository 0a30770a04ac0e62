"""What one gives the explorer page: a file of one's own, in the forms that spreadsheets and loggers write."""

import json

from playwright.sync_api import expect

from tests.e2e.browsing import drop, excuse


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
