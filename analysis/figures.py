"""Figures as in papers: learning curves, aggregates with intervals, performance profiles.

Every figure says its score window and the number of seeds. PNG and PDF for papers (fonts
embedded, 8 point, column or page width); SVG for the report, whose ink takes the page's colour.

Source: system 000's results.png; Agarwal et al. 2021 (intervals and profiles).
"""

import contextlib
import html
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis import aggregates, files, palette
from analysis.curves import Curve

COLUMN, PAGE = 3.25, 6.75  # inches, of a two-column paper
INK = "#222222"
STEPS = [1, 2, 2.5, 5, 10]  # between ticks, times powers of ten
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


def curves(found: Mapping[str, Sequence[Curve]], lines: aggregates.Scales, caption: str) -> Figure:
    """Draws a panel for each game: mean return over seeds against frames, interval shaded.

    Args:
        found: Game -> curves of its agents.
        lines: Random and human score of each game, drawn where they fall into the panel.
        caption: What stands below: window, interval.
    """
    columns = _columns(len(found))
    rows = -(-len(found) // columns)
    width = COLUMN + 0.4 if columns == 1 else PAGE
    height = rows * (2.3 if columns <= 2 else 1.55) + 0.85
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for ax, (game, ones) in zip(panels, found.items(), strict=False):
        draw_curves(ax, game, ones, lines[game], small=columns > 3)
    for ax in panels[len(found) :]:
        ax.set_visible(False)
    for ax in panels[::columns]:
        ax.set_ylabel("Return (points)")
    for ax in panels[max(0, len(found) - columns) : len(found)]:
        ax.set_xlabel("Frames")
    _legend(figure, [one for ones in found.values() for one in ones])
    _caption(figure, caption)
    return figure


def draw_curves(
    ax: Axes,
    game: str,
    ones: Sequence[Curve],
    scale: tuple[float | None, float | None],
    small: bool = False,
) -> None:
    """Draws one game's panel; its title says how many seeds each agent has.

    Args:
        ax: Where.
        game: Which.
        ones: The agents' curves.
        scale: Random and human score.
        small: Whether many panels share the page.
    """
    for one in ones:
        _draw_curve(ax, one)
    number = f"n = {span([one.runs for one in ones])}"
    if small:  # Beside a long name there is no room.
        ax.set_title(title(game), fontsize=6.5, fontweight="bold", pad=3)
        ax.text(0.04, 0.97, number, transform=ax.transAxes, fontsize=5.5, va="top")
    else:
        ax.set_title(title(game), loc="left", fontweight="bold")
        ax.set_title(number, loc="right", fontsize=7)
    if ones:
        step = ones[0].frames[0]  # half a bin
        ax.set_xlim(0, ones[0].frames[-1] + step)
    _levels(ax, scale, 5 if small else 6)
    ax.xaxis.set_major_locator(MaxNLocator(2 if small else 4, steps=STEPS))
    ax.yaxis.set_major_locator(MaxNLocator(3 if small else 5, steps=STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.tick_params(labelsize=6 if small else None)
    ax.grid(axis="y", alpha=0.25, color=plt.rcParams["text.color"])
    sns.despine(ax=ax)


def _draw_curve(ax: Axes, one: Curve) -> None:
    look = palette.look(one.agent)
    ax.fill_between(one.frames, one.low, one.high, color=look.color, alpha=0.2, linewidth=0)
    full = np.where(one.seeds == one.runs, one.mean, np.nan)
    ax.plot(one.frames, full, color=look.color, linestyle=look.dash, label=one.agent)
    # Fewer seeds than elsewhere: a thin line, as a jump there may be a seed that came or went.
    ax.plot(one.frames, one.mean, color=look.color, linestyle=look.dash, linewidth=0.6)
    alone = np.flatnonzero(np.isfinite(one.mean))
    if len(alone) == 1:  # A line of one point is not seen.
        ax.plot(one.frames[alone], one.mean[alone], look.marker, color=look.color, markersize=3)


def _levels(ax: Axes, scale: tuple[float | None, float | None], size: float) -> None:
    low, high = ax.get_ylim()
    room = 0.15 * (high - low)
    ink = plt.rcParams["text.color"]
    shown = [
        (name, level)
        for name, level in zip(("random", "human"), scale, strict=True)
        if level is not None and low - room <= level <= high + room
    ]
    for _, level in shown:
        ax.axhline(level, color=ink, alpha=0.6, lw=0.7, ls=(0, (1, 2)))
    low, high = ax.get_ylim()  # Wider now, and kept: names go where there is room.
    ax.set_ylim(low, high)
    for name, level in shown:
        above = level < high - 0.12 * (high - low)
        ax.annotate(
            name, (1, level), xycoords=("axes fraction", "data"), fontsize=size, alpha=0.8,
            xytext=(0, 1 if above else -1.5), textcoords="offset points", ha="right",
            va="bottom" if above else "top",
        )  # fmt: skip


def intervals(table: pd.DataFrame, caption: str) -> Figure:
    """Draws the four aggregates side by side, a row for each agent."""
    agents = list(dict.fromkeys(table["agent"]))
    size = (PAGE, 0.30 * len(agents) + 1.15)
    figure, grid = plt.subplots(1, 4, figsize=size, sharey=True, layout="constrained")
    for ax, metric in zip(grid, aggregates.METRICS, strict=True):
        draw_interval(ax, table, metric)
    _caption(figure, caption)
    return figure


def draw_interval(ax: Axes, table: pd.DataFrame, metric: str) -> None:
    """Draws one metric: estimate and 95% interval; a hollow mark has no interval."""
    rows = table[table["metric"] == metric].reset_index(drop=True)
    for place, row in rows.iterrows():
        look = palette.look(row["agent"])
        known = np.isfinite(row["low"])
        ax.plot([row["low"], row["high"]], [place, place], color=look.color, lw=5, alpha=0.35,
                solid_capstyle="butt")  # fmt: skip
        ax.plot(row["estimate"], place, look.marker, color=look.color, markersize=4.5,
                markerfacecolor=look.color if known else "none")  # fmt: skip
    names = [f"{row.agent}\n{behind(row.games, row.seeds)}" for row in rows.itertuples()]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_title(aggregates.METRICS[metric], fontweight="bold")
    better = "lower" if metric == "optimality_gap" else "higher"
    ax.set_xlabel(f"Human-normalised\n({better} is better)")
    ax.margins(x=0.15)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    ax.grid(axis="x", alpha=0.25, color=plt.rcParams["text.color"])
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)


def profiles(table: pd.DataFrame, found: pd.DataFrame, caption: str) -> Figure:
    """Draws performance profiles.

    Args:
        table: As of `aggregates.profile`.
        found: As of `aggregates.table`; the legend says its games and seeds.
        caption: What stands below.
    """
    agents = list(dict.fromkeys(found["agent"]))
    size = (COLUMN + 0.4, 2.9 + 0.16 * len(agents))
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    draw_profile(ax, table)
    rows = found.drop_duplicates("agent").set_index("agent")
    told = {a: behind(*rows.loc[a, ["games", "seeds"]]) for a in agents}
    legend(figure, {a: f"{a} ({told[a]})" for a in agents}, 1)
    _caption(figure, caption)
    return figure


def draw_profile(ax: Axes, table: pd.DataFrame) -> None:
    """Draws the fraction of runs above each human-normalised score."""
    for agent, rows in table.groupby("agent"):
        look = palette.look(str(agent))
        ax.fill_between(
            rows["tau"].astype(float), rows["low"].astype(float), rows["high"].astype(float),
            step="post", color=look.color, alpha=0.2, linewidth=0,
        )  # fmt: skip
        ax.step(rows["tau"], rows["fraction"], where="post", color=look.color, ls=look.dash,
                label=str(agent))  # fmt: skip
    ax.set(ylim=(-0.02, 1.02), xlabel="Human-normalised score τ", ylabel="Fraction of runs > τ")
    ax.margins(x=0)
    ax.grid(alpha=0.25, color=plt.rcParams["text.color"])
    sns.despine(ax=ax)


def blank(sentence: str) -> Figure:
    """Draws a sentence: why there is nothing to draw."""
    figure = plt.figure(figsize=(PAGE, 0.8))
    figure.text(0.5, 0.5, sentence, ha="center", va="center")
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes PNG and PDF beside each other, without a date, so that equal figures are equal."""
    paths = []
    for kind, dated in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
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


def _columns(panels: int) -> int:
    for most, columns in ((1, 1), (4, 2), (9, 3), (30, 5)):
        if panels <= most:
            return columns
    return 6


def _legend(figure: Figure, ones: Sequence[Curve]) -> None:
    runs: dict[str, list[int]] = {}
    for one in ones:
        runs.setdefault(one.agent, []).append(one.runs)
    told = {agent: f"{agent} ({seeds(span(counts))})" for agent, counts in sorted(runs.items())}
    legend(figure, told, 2 if figure.get_figwidth() < PAGE else 4)


def legend(figure: Figure, told: Mapping[str, str], columns: int) -> None:
    """Puts a legend above a figure: agent -> what to say of it."""
    handles = [
        Line2D([], [], color=palette.look(agent).color, ls=palette.look(agent).dash, label=text)
        for agent, text in told.items()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def seeds(count: str) -> str:
    """Returns '1 seed' or '5 seeds'."""
    return f"{count} seed" if count == "1" else f"{count} seeds"


def behind(games: int, count: str) -> str:
    """Returns '2 games × 5 seeds'."""
    return f"{counted(games, 'game')} × {seeds(str(count).replace('-', '–'))}"


def counted(number: int, thing: str) -> str:
    """Returns '1 run' or '5 runs'."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _caption(figure: Figure, caption: str) -> None:
    wide = int(figure.get_figwidth() * 21)  # characters of 6 points
    text = "\n".join(textwrap.wrap(caption, wide))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6, alpha=0.85, linespacing=1.3)
