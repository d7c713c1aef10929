"""HTML, as text: elements, tables, a page. Whatever comes from files is escaped here."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

SCRIPT = Path(__file__).with_name("report.js")
STYLE = Path(__file__).with_name("report.css")


class Markup(str):
    """Text that is HTML already."""


def escape(text: object) -> Markup:
    """Returns text as HTML; HTML stays what it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text)))


def element(name: str, *inside: object, **attributes: str) -> Markup:
    """Returns an element; `cls` stands for the attribute `class`, and `_` in names for `-`."""
    return Markup(f"{void(name, **attributes)}{''.join(map(escape, inside))}</{name}>")


def void(name: str, **attributes: str) -> Markup:
    """Returns an element that has no inside and no end, such as `img`; attributes as above."""
    given = {("class" if k == "cls" else k.replace("_", "-")): v for k, v in attributes.items()}
    return Markup(f"<{name}{''.join(f' {k}={_quoted(v)}' for k, v in given.items())}>")


def _quoted(value: str) -> str:
    return f'"{html.escape(value)}"'


def section(anchor: str, heading: str, *inside: object) -> Markup:
    """Returns a section with a heading that can be linked to."""
    return element("section", element("h2", heading), *inside, id=anchor)


def table(head: Sequence[object], rows: Iterable[Sequence[object]], cls: str = "") -> Markup:
    """Returns a table in a box that scrolls by itself where it is too wide.

    The first cell of a row is its heading.
    """
    top = element("tr", *[element("th", cell, scope="col") for cell in head])
    body = [
        element("tr", element("th", row[0], scope="row"), *[element("td", c) for c in row[1:]])
        for row in rows
    ]
    whole = element("table", element("thead", top), element("tbody", *body))
    return element("div", whole, cls=f"wide {cls}".strip(), tabindex="0")


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Returns a list of names and values."""
    inside = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *inside)


def details(summary: str, *inside: object) -> Markup:
    """Returns a part that opens on a click; on paper it is open."""
    return element("details", element("summary", summary), *inside)


def script(numbers: str) -> Markup:
    """Returns the report's script with the numbers that it shows, as JSON without a `<`."""
    data = element("script", Markup(numbers), type="application/json", id="numbers")
    return Markup(data + element("script", Markup(SCRIPT.read_text())))


def page(title: str, *inside: object) -> str:
    """Returns a whole page that loads nothing from anywhere."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',  # Or a browser asks a server for one.
            element("title", title),
            f"<style>\n{STYLE.read_text()}</style>",
            "</head>",
            element("body", element("main", *inside)),
            "</html>",
            "",
        ]
    )
