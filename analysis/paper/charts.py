"""Kinds of figures that only papers have: efficiency, improvement, differences, ladder.

Shapes: M games, K contenders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis import palette, tables
from analysis.canvas import (
    COLUMN,
    HIGHEST,
    LEVELS,
    PAGE,
    SMALLEST,
    STEPS,
    legend,
    put_caption,
    seeds,
    short,
    span,
    title,
)
from analysis.efficiency import Efficiency
from analysis.figures import draw_estimate
from analysis.paper.text import bracket, signed

LINEAR = 0.1  # Below it an axis of differences is linear, above it logarithmic.
MAP = "PuOr"  # Diverging, told apart by the colour-blind; the numbers stand in the cells too.


def efficiency(found: Sequence[Efficiency], caption: str) -> Figure:
    """Draws the IQM against frames; the legend has seeds and the area below each curve."""
    figure, ax = plt.subplots(figsize=(COLUMN, 2.1), layout="constrained")
    for place, one in enumerate(found):
        look = palette.look(one.agent)
        ax.fill_between(one.frames, one.low, one.high, color=look.color, alpha=0.2, linewidth=0)
        ax.plot(one.frames, one.iqm, color=look.color, ls=look.dash)
        every = max(1, len(one.frames) // 6)
        marked = np.flatnonzero(np.isfinite(one.iqm))
        marked = marked[int(every * (0.3 + 0.7 * place / len(found))) :: every]
        ax.plot(one.frames[marked], one.iqm[marked], look.marker, color=look.color, markersize=3)
    low, high = ax.get_ylim()
    if low <= 1 <= high:
        ax.axhline(1, color=plt.rcParams["text.color"], alpha=0.7, lw=0.7, ls=LEVELS["human"])
        ax.annotate("human", (0, 1), xycoords=("axes fraction", "data"), fontsize=6, alpha=0.8,
                    xytext=(2, 1), textcoords="offset points", va="bottom")  # fmt: skip
    ax.set_xlim(0, found[0].frames[-1] + found[0].frames[0])
    ax.set(xlabel="Frames", ylabel="Human-normalised IQM")
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    _finish(ax, "y")
    areas = [f"area {tables.normalised(one.area, 3)}{bracket(*one.ends, 3)}" for one in found]
    told = {
        one.agent: f"{one.agent} ({seeds(span(one.seeds))})\n{area}"
        for one, area in zip(found, areas, strict=True)
    }
    figure.set_figheight(2.1 + 0.25 * legend(figure, told, 2, size=6.5))
    put_caption(figure, caption)
    return figure


def improvement(
    names: Sequence[str], chances: np.ndarray, ends: np.ndarray, caption: str
) -> Figure:
    """Draws the probability that a run of a row is better than one of a column.

    Args:
        names: K, of rows and columns.
        chances: (K, K), NaN on the diagonal.
        ends: (2, K, K), their intervals; NaN where there is none.
        caption: What stands below.
    """
    count = len(names)
    width = COLUMN if count <= 5 else PAGE
    figure, ax = plt.subplots(figsize=(width, 0.85 + 0.33 * count), layout="constrained")
    ax.imshow(chances, cmap=MAP, vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(count, count):
        if np.isfinite(chances[i, j]):
            _cell(ax, j, i, float(chances[i, j]), ends[:, i, j])
    ax.set_xticks(range(count), names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(count), names)
    ax.set(xlabel="Y", ylabel="X", title="P(X better than Y)")
    ax.tick_params(length=0, labelsize=7)
    sns.despine(ax=ax, left=True, bottom=True)
    put_caption(figure, caption)
    return figure


def _cell(ax: Axes, x: float, y: float, chance: float, ends: np.ndarray) -> None:
    sure = bool(ends[0] > 0.5 or ends[1] < 0.5)
    color = "white" if abs(chance - 0.5) > 0.3 else "#111111"
    known = np.isfinite(ends).all()
    ax.text(x, y - (0.16 if known else 0), f"{chance:.2f}", ha="center", va="center", color=color,
            fontsize=7, fontweight="bold" if sure else "normal")  # fmt: skip
    if known:
        ax.text(x, y + 0.22, f"{ends[0]:.2f}–{ends[1]:.2f}", ha="center", va="center",
                color=color, fontsize=SMALLEST)  # fmt: skip


@dataclass(frozen=True)
class Bars:
    """Differences of two contenders, human-normalised, best first."""

    first: str
    second: str
    games: tuple[str, ...]  # M
    values: np.ndarray  # (M,), first less second
    low: np.ndarray  # (M,), NaN where there is no interval
    high: np.ndarray


def differences(bars: Bars, told: Mapping[str, str], caption: str) -> Figure:
    """Draws a bar for each game on a scale that is linear up to LINEAR, then logarithmic.

    Args:
        bars: What.
        told: Name -> what the legend says of it.
        caption: What stands below.
    """
    count = len(bars.games)
    height = min(HIGHEST, max(0.125 * count, 0.5) + 0.9)
    figure, ax = plt.subplots(figsize=(COLUMN, height), layout="constrained")
    places = np.arange(count)
    handles = []
    sides = ((bars.first, bars.values >= 0, ""), (bars.second, bars.values < 0, "////"))
    for name, part, hatch in sides:
        look = {
            "facecolor": palette.look(name).color,
            "hatch": hatch,
            "edgecolor": "white",
            "lw": 0,
        }
        handles.append(Patch(label=f"{told[name]} better", **look))
        ax.barh(places[part], bars.values[part], 0.72, alpha=0.9, **look)
    known = np.isfinite(bars.low)
    ink = plt.rcParams["text.color"]
    ax.hlines(places[known], bars.low[known], bars.high[known], color=ink, lw=0.7)
    ax.axvline(0, color=ink, lw=0.6)
    ax.set_xscale("symlog", linthresh=LINEAR, linscale=0.6)
    ends = np.concatenate([bars.values, bars.low[known], bars.high[known], [-LINEAR, LINEAR]])
    _powers(ax, float(ends.min()), float(ends.max()))
    decimals = tables.places(bars.values.tolist())
    for place, value in zip(places, bars.values.tolist(), strict=True):
        ax.text(1.01, place, signed(value, decimals), transform=ax.get_yaxis_transform(),
                fontsize=SMALLEST, va="center")  # fmt: skip
    ax.set_yticks(places, [title(game) for game in bars.games], fontsize=6 if count > 9 else 7)
    ax.set_ylim(count - 0.4, -0.6)
    ax.set_xlabel("Difference, human-normalised")
    ax.tick_params(axis="y", length=0)
    _finish(ax, "x")
    figure.legend(handles=handles, loc="outside upper center", ncols=1)
    put_caption(figure, caption)
    return figure


def _powers(ax: Axes, low: float, high: float) -> None:
    """Puts ticks at 0 and at powers of ten, and ends the axis a little beyond the numbers."""
    powers = [LINEAR * 10**k for k in range(8)]
    up = [each for each in powers if each <= high * 1.0001]
    down = [-each for each in powers if each <= -low * 1.0001]
    if len(up) + len(down) > 6:
        up, down = up[1::2] or up[:1], down[1::2] or down[:1]
    ticks = [*reversed(down), 0.0, *up]
    ax.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(low * 1.25, high * 1.25)


@dataclass(frozen=True)
class Rung:
    """One step of a ladder: its level, and what it adds to the rung before."""

    agent: str
    seeds: str
    level: tuple[float, float, float]  # Estimate, low, high; NaN where there is no interval
    added: tuple[float, float, float] | None  # None of the first


def ladder(rungs: Sequence[Rung], metric: str, caption: str) -> Figure:
    """Draws each rung's level, and beside it what each rung adds."""
    size = (PAGE, 0.32 * len(rungs) + 0.85)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    decimals = tables.places(rung.level[0] for rung in rungs)
    finer = tables.places(rung.added[0] for rung in rungs if rung.added is not None)
    for place, rung in enumerate(rungs):
        look = palette.look(rung.agent)
        draw_estimate(left, place, rung.level, look)
        _number(left, place, rung.level[0], tables.normalised(rung.level[0], decimals))
        if rung.added is not None:
            right.plot([0, rung.added[0]], [place - 0.5] * 2, color=look.color, lw=1)
            draw_estimate(right, place - 0.5, rung.added, look)
            _number(right, place - 0.5, rung.added[0], signed(rung.added[0], finer))
    names = [f"{rung.agent}\n{seeds(rung.seeds)}" for rung in rungs]
    left.set_yticks(range(len(rungs)), names)
    left.set_ylim(len(rungs) - 0.5, -0.5)
    left.set_title(metric, fontweight="bold")
    right.set_title("Added by a rung to the one above", fontweight="bold")
    right.axvline(0, color=plt.rcParams["text.color"], lw=0.7, ls=LEVELS["human"])
    for ax, words in ((left, "Human-normalised"), (right, "Difference, human-normalised")):
        ax.set_xlabel(words)
        ax.margins(x=0.15)
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
        ax.tick_params(axis="y", length=0)
        _finish(ax, "x", left=True)
    put_caption(figure, caption)
    return figure


def _number(ax: Axes, place: float, value: float, text: str) -> None:
    ax.text(value, place - 0.14, text, fontsize=6, va="bottom", ha="center")


def _finish(ax: Axes, axis: str, left: bool = False) -> None:
    ax.grid(axis=axis, alpha=0.25, color=plt.rcParams["text.color"])
    ax.set_axisbelow(True)
    sns.despine(ax=ax, left=left)
