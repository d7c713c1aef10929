"""What all figures have in common: sizes, look, legend, caption, words, files.

PNG and PDF for papers (fonts embedded, 8 point, column or page width); SVG for the report, whose
ink takes the page's colour.
"""

import contextlib
import html
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import matplotlib

matplotlib.use("Agg")

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import files, palette

COLUMN, PAGE = 3.25, 6.75  # inches, of a two-column paper
INK = "#222222"
STEPS = [1, 2, 2.5, 5, 10]  # between ticks, times powers of ten
SMALLEST = 5.5  # points; smaller text is not read in print
HIGHEST = 9.0  # inches, of a page
PUBLISHED = "published"
KEYS = {"png": "Description", "pdf": "Keywords"}  # where a file says what is behind it
LEVELS = {"random": (0, (1, 3)), "human": (0, (1, 1)), PUBLISHED: (0, (6, 1.5, 1, 1.5))}
PAGE_INK = "#010203"  # stands for the page's text colour in an SVG


@contextlib.contextmanager
def theme(ink: str = INK) -> Iterator[None]:
    """Sets the look of all figures: seaborn's ticks, small text, one colour of ink."""
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    rules = {
        "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7.5,
        "xtick.labelsize": 7, "ytick.labelsize": 7, "lines.linewidth": 1.3,
        "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
        "xtick.major.size": 2.5, "ytick.major.size": 2.5, "grid.linewidth": 0.4,
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "pdf.fonttype": 42,
        "svg.fonttype": "none", "svg.hashsalt": "reverie", "savefig.dpi": 200,
        "axes.unicode_minus": True, "figure.max_open_warning": 0, "legend.frameon": False,
    }  # fmt: skip
    rules |= dict.fromkeys(inks, ink)
    with sns.axes_style("ticks"), plt.rc_context(rules):
        yield


def blank(sentence: str) -> Figure:
    """Draws a sentence: why there is nothing to draw."""
    figure = plt.figure(figsize=(PAGE, 0.8))
    figure.text(0.5, 0.5, sentence, ha="center", va="center")
    return figure


def save(figure: Figure, stem: Path, origin: str | None = None) -> list[Path]:
    """Writes PNG and PDF beside each other, without a date, so that equal figures are equal.

    Args:
        figure: Closed here.
        stem: Where, without the kind of file.
        origin: What both files say of themselves, ASCII.
    """
    paths = []
    for kind, dated in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        dated |= {} if origin is None else {KEYS[kind]: origin}
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=dated, facecolor="white")
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        files.write(paths[-1], buffer.getvalue())
    plt.close(figure)
    return paths


def svg(figure: Figure, words: str) -> str:
    """Returns a figure as an inline SVG that fills its box and takes the page's ink.

    Args:
        figure: Drawn under `theme(PAGE_INK)`; closed here.
        words: What it shows, for those who do not see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(PAGE_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None, "matplotlib wrote an SVG without a view box"
    head = f'<svg role="img" aria-label="{html.escape(words)}" {box[0]} xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)


def title(game: str) -> str:
    """Returns a game's name as a title."""
    return game.replace("_", " ").title()


def span(counts: Sequence[int]) -> str:
    """Returns '5', or '3–5' where numbers differ."""
    if not len(counts):
        return "0"
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def short(value: float) -> str:
    """Writes a tick: 400k, 10M, −21."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def about(value: float) -> str:
    """Writes a number with two digits that mean something: 7.1k."""
    return short(float(f"{value:.2g}"))


def legend(
    figure: Figure,
    told: Mapping[str, str],
    columns: int,
    levels: Mapping[str, str] = MappingProxyType({}),
    size: float = 7.5,
    room: tuple[Axes, float] | None = None,
) -> int:
    """Puts a legend above a figure, and returns how many rows it has.

    Args:
        figure: Which.
        told: Agent -> what to say of it.
        columns: The most; fewer where the words are long.
        levels: Keys of LEVELS -> what to say of these lines.
        size: Of its text, points.
        room: An empty panel from which it goes to the right instead, and for how many inches.
    """
    looks = {agent: palette.look(agent) for agent in told}
    handles = [
        Line2D([], [], color=looks[agent].color, ls=looks[agent].dash, marker=looks[agent].marker,
               markersize=3, label=text)
        for agent, text in told.items()
    ]  # fmt: skip
    ink = plt.rcParams["text.color"]
    handles += [Line2D([], [], color=ink, lw=0.7, ls=LEVELS[n], label=levels[n]) for n in levels]
    if not handles:
        return 0
    words = [line for each in handles for line in str(each.get_label()).split("\n")]
    size = size if room is None else 6.5
    wide = 72 * (figure.get_figwidth() if room is None else room[1])
    each = max(map(len, words)) * 0.55 * size + 4 * size  # Points, with its handle.
    columns = max(1, min(columns, int(wide / each)))
    rows = -(-len(handles) // columns)
    style = {"ncols": columns, "fontsize": size, "handlelength": 2.6, "columnspacing": 1.2}
    if room is None:
        figure.legend(handles=handles, loc="outside upper center", **style)
        return rows
    ax = room[0]
    ax.set_visible(True)
    ax.set_axis_off()
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(-0.1, 1), **style)
    ax.get_legend().set_in_layout(False)
    return rows


def seeds(count: str) -> str:
    """Returns '1 seed' or '5 seeds'."""
    return f"{count} seed" if count == "1" else f"{count} seeds"


def behind(games: int, count: str) -> str:
    """Returns '2 games × 5 seeds'."""
    return f"{counted(games, 'game')} × {seeds(str(count).replace('-', '–'))}"


def counted(number: int, thing: str) -> str:
    """Returns '1 run' or '5 runs'."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def put_caption(figure: Figure, caption: str) -> None:
    """Puts a caption below a figure, which grows by it up to a page; nothing if it is empty."""
    if not caption:
        return
    wide = int(figure.get_figwidth() * 21)  # characters of 6 points
    lines = textwrap.wrap(caption, wide)
    tall = figure.get_figheight()
    figure.set_figheight(max(tall, min(HIGHEST, tall + 0.11 * len(lines))))
    text = "\n".join(lines)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6, alpha=0.85, linespacing=1.3)
