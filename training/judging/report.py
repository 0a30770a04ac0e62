"""A report as one HTML file that needs nothing else: no script, no network, its pictures inline."""

from dataclasses import dataclass
from html import escape

from service.explanations.charts.chart import Chart
from service.explanations.charts.rendering import svg

STYLE = """
:root { color-scheme: light dark; --page: #f3f5f8; --card: #fff; --ink: #1f2933; --faint: #52606d; --line: #d9e0e8 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181d; --card: #1d232a; --ink: #e6eaef; --faint: #a3afbc; --line: #364150 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 920px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 16px 4px; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 0 0 8px }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px; margin: 16px 0 }
p { margin: 0 0 10px; max-width: 70ch; overflow-wrap: anywhere }
.table { overflow-x: auto; margin: 10px 0 }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: 6px 18px 6px 0; border-bottom: 1px solid var(--line) }
th { color: var(--faint); font-weight: 600; white-space: nowrap }
td + td { white-space: nowrap }
td:first-child { min-width: 9em }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 14px }
figure { margin: 0; min-width: 0 }
figcaption { color: var(--faint); font-size: .9rem; margin: 0 0 6px; overflow-wrap: anywhere }
figure svg { display: block; width: auto; max-width: 100%; height: auto; background: #fff; border-radius: 6px }
@media (max-width: 500px) {
  main { padding: 8px }
  section { padding: 14px }
  table { font-size: .82rem }
  th, td { padding-right: 10px }
  td:first-child { min-width: 7em }
}
"""


@dataclass(frozen=True)
class Table:
    """Rows under a header; every row is as long as the header."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Picture:
    """A chart, and what there is to see in it."""

    caption: str
    chart: Chart


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, then what there is of text, a table and pictures, in this order.

    Attributes:
        text: plain; an empty line begins a new paragraph.
    """

    heading: str
    text: str = ""
    table: Table | None = None
    pictures: tuple[Picture, ...] = ()


def report(title: str, sections: list[Section]) -> str:
    """The report as HTML."""
    body = "\n".join(map(_section, sections))
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<main>\n<h1>{escape(title)}</h1>\n{body}\n</main>\n</html>\n"
    )


def _section(section: Section) -> str:
    paragraphs = [f"<p>{escape(text)}</p>" for text in section.text.split("\n\n") if text]
    table = [_table(section.table)] if section.table else []
    figures = "\n".join(map(_figure, section.pictures))
    pictures = [f'<div class="pictures">\n{figures}\n</div>'] if figures else []
    return "\n".join(["<section>", f"<h2>{escape(section.heading)}</h2>", *paragraphs, *table, *pictures, "</section>"])


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f'<div class="table"><table>\n<tr>{head}</tr>\n{rows}\n</table></div>'


def _figure(picture: Picture) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
    return f"<figure>\n{caption}\n{svg(picture.chart)}\n</figure>"
