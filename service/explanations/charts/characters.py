"""The characters of a text, each at its step; of a long text, what stands about the marked ones."""

from collections.abc import Sequence

import altair as alt

from service.explanations.charts.chart import Row
from service.explanations.charts.lines import step_names, top_rows
from service.explanations.charts.panels import apart
from service.explanations.charts.stacking import Panel
from service.explanations.charts.words import Mark, short

LETTERS = 64  # characters of a text up to which there is room for each at its step
EXCERPT, BESIDE = 13, 20  # characters about a marked one, of a longer text; the room of so many letters for each


def characters_panel(text: str, top: Sequence[Mark]) -> Panel:
    """The characters of a text, one for each step; of a long text those about the marked steps."""
    values = _characters(text) if len(text) <= LETTERS else _excerpts(text, top)
    characters = alt.Chart(alt.NamedData("characters")).encode(text=alt.Text("character:N"))
    characters = characters.mark_text(style="name", fontSize=14, baseline="middle")
    data = {"characters": values, "top": top_rows(top, len(text))}
    return Panel("characters", [characters, step_names("top")], data, height=28)


def _characters(text: str) -> list[Row]:
    return [{"step": step, "character": character} for step, character in enumerate(text)]


def _excerpts(text: str, top: Sequence[Mark]) -> list[Row]:
    """What stands about the marked steps, as far as there is room."""
    return [
        {"step": one.middle, "character": short(text[max(0, one.first - about) : one.last + 1 + about], EXCERPT)}
        for one in apart(top, len(text), BESIDE)
        for about in [max(0, EXCERPT - 1 - one.last + one.first) // 2]
    ]
