"""Figures as in papers: learning curves, aggregates with intervals, performance profiles.

Every figure says its score window and the number of seeds; `canvas` has its sizes and files.

Source: system 000's results.png; Agarwal et al. 2021 (intervals and profiles).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis import aggregates, palette
from analysis.canvas import (
    COLUMN,
    HIGHEST,
    INK,
    LEVELS,
    PAGE,
    PAGE_INK,
    PUBLISHED,
    SMALLEST,
    STEPS,
    about,
    behind,
    blank,
    counted,
    legend,
    put_caption,
    save,
    seeds,
    short,
    span,
    svg,
    theme,
    title,
)
from analysis.curves import Curve

__all__ = [
    "COLUMN", "INK", "PAGE", "PAGE_INK", "Published", "behind", "blank", "counted", "curves",
    "draw_curves", "draw_estimate", "draw_interval", "draw_profile", "intervals", "profiles",
    "save", "seeds", "short", "svg", "theme", "title",
]  # fmt: skip

HEIGHTS = {1: 2.2, 2: 2.1, 3: 1.55, 5: 1.3, 6: 0.83}  # inches, of a panel in so many columns


@dataclass(frozen=True)
class Published:
    """Published scores to draw beside curves."""

    name: str  # As the legend has it.
    scores: Mapping[str, float]  # Game -> points.


NOTHING = Published("", {})


def curves(
    found: Mapping[str, Sequence[Curve]],
    lines: aggregates.Scales,
    caption: str,
    published: Published = NOTHING,
) -> Figure:
    """Draws a panel for each game: mean return over seeds against frames, interval shaded.

    More than nine games share axes and a legend for their lines, and 57 fill a page.

    Args:
        found: Game -> curves of its agents.
        lines: Random and human score of each game, drawn where they fall into the panel.
        caption: What stands below: window, interval.
        published: Scores to draw beside them.
    """
    columns = _columns(len(found))
    rows = -(-len(found) // columns)
    width = COLUMN if columns == 1 else PAGE
    height = min(rows * HEIGHTS[columns] + 0.55, HIGHEST)
    small = columns > 3
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", sharex=small
    )
    panels = list(grid.flat)
    fullest = sorted(found.values(), key=len, reverse=True)  # All agents, in their order, first.
    every = [one for ones in fullest for one in ones]
    most = {one.agent: max(other.runs for other in every if other.agent == one.agent)
            for one in every}  # fmt: skip
    for ax, (game, ones) in zip(panels, found.items(), strict=False):
        fewer = {one.agent: one.runs for one in ones} != most
        draw_curves(ax, game, ones, lines[game], small, published.scores.get(game), fewer)
    for place, ax in enumerate(panels):
        ax.set_visible(place < len(found))
        ax.tick_params(labelbottom=place + columns >= len(found) or not small)
    _name_axes(figure, panels, columns, len(found), small)
    # What is left of the last row has room for the legend of many panels.
    blank = len(panels) - len(found)
    inches = blank * width / columns - 0.2
    room = (panels[len(found)], inches) if small and blank > 1 else None
    _curve_legend(figure, every, small, published.name if published.scores else "", room)
    put_caption(figure, caption)
    return figure


def _name_axes(
    figure: Figure, panels: Sequence[Axes], columns: int, count: int, small: bool
) -> None:
    if small:
        figure.supylabel("Return (points)", fontsize=7)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.03, wspace=0)
    for ax in () if small else panels[::columns]:
        ax.set_ylabel("Return (points)")
    first = (count - 1) // columns * columns if small else max(0, count - columns)
    for ax in panels[first:count]:
        ax.set_xlabel("Frames", fontsize=6 if small else None, labelpad=1 if small else None)


def draw_curves(
    ax: Axes,
    game: str,
    ones: Sequence[Curve],
    scale: tuple[float | None, float | None],
    small: bool = False,
    published: float | None = None,
    counted: bool = True,
) -> None:
    """Draws one game's panel; its title says how many seeds each agent has.

    Args:
        ax: Where.
        game: Which.
        ones: The agents' curves.
        scale: Random and human score.
        small: Whether many panels share the page.
        published: A published score.
        counted: Whether a small panel says its number of seeds.
    """
    for place, one in enumerate(ones):
        _draw_curve(ax, one, small, place / len(ones))
    number = f"n = {span([one.runs for one in ones])}"
    if small:  # Beside a long name there is no room.
        ax.set_title(title(game), fontsize=6.5, pad=2)
    else:
        ax.set_title(title(game), loc="left", fontweight="bold")
        ax.set_title(number, loc="right", fontsize=7)
    if ones:
        step = ones[0].frames[0]  # half a bin
        ax.set_xlim(0, ones[0].frames[-1] + step)
    levels = dict(zip(("random", "human"), scale, strict=True)) | {PUBLISHED: published}
    _levels(ax, levels, small, [number] if small and counted else [])
    ax.xaxis.set_major_locator(MaxNLocator(2 if small else 4, steps=STEPS))
    ax.yaxis.set_major_locator(MaxNLocator(3 if small else 5, steps=STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    if small:
        ax.tick_params(labelsize=SMALLEST, pad=1.5)
    ax.grid(axis="y", alpha=0.25, color=plt.rcParams["text.color"])
    sns.despine(ax=ax)


def _draw_curve(ax: Axes, one: Curve, small: bool, shift: float) -> None:
    """Draws a curve; `shift`, from 0 to 1, keeps the marks of several apart."""
    look, thin = palette.look(one.agent), 0.8 if small else 1.3
    ax.fill_between(one.frames, one.low, one.high, color=look.color, alpha=0.2, linewidth=0)
    full = np.where(one.seeds == one.runs, one.mean, np.nan)
    ax.plot(one.frames, full, color=look.color, linestyle=look.dash, lw=thin, label=one.agent)
    # Fewer seeds than elsewhere: a thin line, as a jump there may be a seed that came or went.
    ax.plot(one.frames, one.mean, color=look.color, linestyle=look.dash, linewidth=0.45 * thin)
    there = np.flatnonzero(np.isfinite(one.mean))
    every = max(1, len(one.frames) // (4 if small else 6))
    marked = there[int((0.3 + 0.7 * shift) * every) :: every]
    if not len(marked):  # A line of one point is not seen.
        marked = there[-1:]
    ax.plot(one.frames[marked], one.mean[marked], look.marker, color=look.color,
            markersize=1.8 if small else 3)  # fmt: skip


def _levels(
    ax: Axes, levels: Mapping[str, float | None], small: bool, notes: Sequence[str]
) -> None:
    """Draws levels that fall into a panel; of others, random play excepted, says how far they are.

    In small panels the names of the lines are left to the legend.

    Args:
        ax: Where.
        levels: Name -> points.
        small: Whether many panels share the page.
        notes: Further words for the corner.
    """
    low, high = ax.get_ylim()
    room = 0.15 * (high - low)
    ink, known = plt.rcParams["text.color"], {n: v for n, v in levels.items() if v is not None}
    shown = {n: v for n, v in known.items() if low - room <= v <= high + room}
    for name, level in shown.items():
        ax.axhline(level, color=ink, alpha=0.7, lw=0.7, ls=LEVELS[name])
    far = [*notes]
    far += [f"{name} {about(level)} {'↑' if level > high else '↓'}"
           for name, level in known.items() if name not in {*shown, "random"}]  # fmt: skip
    low, high = ax.get_ylim()  # Wider now, and kept: names go where there is room.
    size = SMALLEST if small else 6
    lines = 0.105 * size / SMALLEST * (1.6 if small else 0.8)
    high += (high - low) * lines * len(far)
    ax.set_ylim(low, high)
    for place, text in enumerate(far):
        ax.annotate(
            text, (1, 1), xycoords="axes fraction", fontsize=size, alpha=0.8, ha="right", va="top",
            xytext=(0, -(size + 0.5) * place), textcoords="offset points",
        )  # fmt: skip
    for name, level in {} if small else shown.items():
        if name == PUBLISHED:  # The legend says whose.
            continue
        above = level < high - 0.12 * (high - low)
        ax.annotate(
            name, (1, level), xycoords=("axes fraction", "data"), fontsize=size, alpha=0.8,
            xytext=(0, 1 if above else -1.5), textcoords="offset points", ha="right",
            va="bottom" if above else "top",
        )  # fmt: skip


def intervals(table: pd.DataFrame, caption: str) -> Figure:
    """Draws the four aggregates side by side, a row for each agent."""
    agents = list(dict.fromkeys(table["agent"]))
    size = (PAGE, 0.30 * len(agents) + 0.85)
    figure, grid = plt.subplots(1, 4, figsize=size, sharey=True, layout="constrained")
    for ax, metric in zip(grid, aggregates.METRICS, strict=True):
        draw_interval(ax, table, metric)
    put_caption(figure, caption)
    return figure


def draw_interval(ax: Axes, table: pd.DataFrame, metric: str) -> None:
    """Draws one metric: estimate and 95% interval; a hollow mark has no interval."""
    rows = table[table["metric"] == metric].reset_index(drop=True)
    for place, row in rows.iterrows():
        value = (row["estimate"], row["low"], row["high"])
        draw_estimate(ax, place, value, palette.look(row["agent"]))
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


def draw_estimate(
    ax: Axes, place: float, value: tuple[float, float, float], look: palette.Look
) -> None:
    """Draws an estimate on its interval (estimate, low, high); hollow where there is none."""
    estimate, low, high = value
    ax.plot([low, high], [place, place], color=look.color, lw=5, alpha=0.35, solid_capstyle="butt")
    ax.plot(estimate, place, look.marker, color=look.color, markersize=4.5,
            markerfacecolor=look.color if np.isfinite(low) else "none")  # fmt: skip


def profiles(table: pd.DataFrame, found: pd.DataFrame, caption: str) -> Figure:
    """Draws performance profiles.

    Args:
        table: As of `aggregates.profile`.
        found: As of `aggregates.table`; the legend says its games and seeds.
        caption: What stands below.
    """
    agents = list(dict.fromkeys(found["agent"]))
    size = (COLUMN, 2.1 + 0.16 * len(agents))
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    draw_profile(ax, table)
    rows = found.drop_duplicates("agent").set_index("agent")
    told = {a: behind(*rows.loc[a, ["games", "seeds"]]) for a in agents}
    legend(figure, {a: f"{a} ({told[a]})" for a in agents}, 1)
    put_caption(figure, caption)
    return figure


def draw_profile(ax: Axes, table: pd.DataFrame) -> None:
    """Draws the fraction of runs above each human-normalised score."""
    groups = table.groupby("agent")
    for place, (agent, rows) in enumerate(groups):
        look = palette.look(str(agent))
        ax.fill_between(
            rows["tau"].astype(float), rows["low"].astype(float), rows["high"].astype(float),
            step="post", color=look.color, alpha=0.2, linewidth=0,
        )  # fmt: skip
        ax.step(rows["tau"], rows["fraction"], where="post", color=look.color, ls=look.dash,
                label=str(agent), marker=look.marker, markersize=3,
                markevery=(5 + 30 * place // len(groups), 30))  # fmt: skip
    ax.set(ylim=(-0.02, 1.02), xlabel="Human-normalised score τ", ylabel="Fraction of runs > τ")
    ax.margins(x=0)
    ax.grid(alpha=0.25, color=plt.rcParams["text.color"])
    sns.despine(ax=ax)


def _columns(panels: int) -> int:
    for most, columns in ((1, 1), (4, 2), (9, 3), (30, 5)):
        if panels <= most:
            return columns
    return 6


def _curve_legend(
    figure: Figure,
    ones: Sequence[Curve],
    small: bool,
    published: str,
    room: tuple[Axes, float] | None,
) -> None:
    runs: dict[str, list[int]] = {}
    for one in ones:
        runs.setdefault(one.agent, []).append(one.runs)
    told = {agent: f"{agent} ({seeds(span(counts))})" for agent, counts in runs.items()}
    lines = {"random": "random", "human": "human"} if small else {}
    lines |= {PUBLISHED: published} if published else {}
    columns = 2 if figure.get_figwidth() < PAGE else 4
    legend(figure, told, columns, lines, room=room)
