"""Line and interval charts as small SVGs that are written here by hand.

They take the page's ink and colours from its style sheet, so they suit a dark page and paper, and
they need no script. `Chart.numbers` is what a script in the page needs to say the value under a
pointer. A class `a<N>` marks what belongs to agent N, so that a click can hide it.

Shapes: B places along x, N seeds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis import figures, page
from analysis.page import Markup

WIDTH, HEIGHT = 720, 470  # of the view box; shown half as large
LEFT, RIGHT, TOP, BOTTOM = 92, 708, 14, 404
BOX = (LEFT, RIGHT, TOP, BOTTOM, WIDTH)  # What a script must know to find a value.
STEPS = [1, 2, 2.5, 5, 10]
DIGITS = 3  # behind the first one of the largest number of a chart


@dataclass(frozen=True)
class Line:
    """One agent's line; NaN where it has no value."""

    agent: int  # N of its class
    name: str
    x: np.ndarray  # (B,), evenly spaced
    mean: np.ndarray  # (B,)
    low: np.ndarray  # (B,)
    high: np.ndarray
    whole: np.ndarray  # (B,), whether all of its runs are in the mean
    each: np.ndarray  # (N, B), its runs; (0, B) where they are not shown
    runs: int


@dataclass(frozen=True)
class Chart:
    """Lines over one axis."""

    key: str
    words: str  # what it shows, for those who do not see it
    lines: Sequence[Line]
    end: tuple[float, float]  # of x
    levels: Sequence[tuple[str, float]]  # named horizontal lines, drawn where they are near
    steps: bool  # whether a value holds until the next
    format: Callable[[float], str]  # of y's ticks

    def span(self) -> tuple[float, float]:
        """Returns the lowest and highest y that are to be seen, with some room."""
        parts = [p for line in self.lines for p in (line.mean, line.low, line.high, line.each)]
        held = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0)
        held = held[np.isfinite(held)]
        low, high = (float(held.min()), float(held.max())) if held.size else (0.0, 1.0)
        room = 0.15 * (high - low)
        near = [level for _, level in self.levels if low - room <= level <= high + room]
        low, high = min([low, *near]), max([high, *near])
        room = 0.05 * (high - low) or max(1.0, 0.1 * abs(high))
        return low - room, high + room

    def svg(self) -> Markup:
        """Returns the chart."""
        low, high = self.span()

        def across(value: float | np.ndarray) -> float | np.ndarray:
            return LEFT + (value - self.end[0]) / (self.end[1] - self.end[0]) * (RIGHT - LEFT)

        def up(value: float | np.ndarray) -> float | np.ndarray:
            return BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)

        parts = [_rule(y, up(y), self.format(y)) for y in ticks(low, high, 5)]
        parts += [_tick(across(x), figures.short(x)) for x in ticks(*self.end, 4)]
        parts += [_level(name, up(y)) for name, y in self.levels if low <= y <= high]
        parts += [self._drawn(line, across(line.x), up) for line in self.lines]
        frame = page.element("path", d=f"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}", cls="axis")
        box = f"0 0 {WIDTH} {HEIGHT}"
        facts = {"role": "img", "aria_label": self.words, "viewBox": box, "data_chart": self.key}
        facts["data_span"] = f"{low:.6g} {high:.6g}"
        return page.element("svg", *parts, frame, **facts)

    def _drawn(self, line: Line, x: np.ndarray, up: Callable) -> Markup:
        parts = []
        if np.isfinite(line.low).any():
            parts.append(page.element("path", d=_band(x, up(line.low), up(line.high)), cls="band"))
        for one in line.each:
            parts.append(page.element("path", d=_path(x, up(one), self.steps), cls="seed"))
        thick = np.where(line.whole, line.mean, np.nan)
        if not line.whole[np.isfinite(line.mean)].all():
            thin = _path(x, up(line.mean), self.steps)
            parts.append(page.element("path", d=thin, cls="thin"))
        parts.append(page.element("path", d=_path(x, up(thick), self.steps), cls="mean"))
        if np.isfinite(line.mean).sum() == 1:  # A line of one point is not seen.
            parts.append(page.element("path", d=_path(x, up(line.mean), False), cls="dot"))
        return page.element("g", *parts, cls=f"a{line.agent}")

    def numbers(self) -> dict[str, object]:
        """Returns the values as whole numbers of `unit`, each the difference from the last."""
        parts = [p for line in self.lines for p in (line.mean, line.low, line.high, line.each)]
        held = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0)
        most = float(np.abs(held[np.isfinite(held)]).max(initial=0)) or 1.0
        power = math.floor(math.log10(most)) - DIGITS
        lines = [
            [line.agent, line.runs, float(line.x[0]), float(line.x[1] - line.x[0]) if
             len(line.x) > 1 else 1.0,
             *(deltas(part, power) for part in (line.mean, line.low, line.high, *line.each))]
            for line in self.lines
        ]  # fmt: skip
        return {"end": list(self.end), "power": power, "lines": lines}


def deltas(values: np.ndarray, power: int) -> list[int | None]:
    """Returns values in units of 10 ** power, each less the one before; None where there is none.

    Empty where there is none at all.
    """
    there = np.isfinite(values)
    if not there.any():
        return []
    whole = np.rint(values[there] * 10.0**-power).astype(int)
    found = iter(np.diff(whole, prepend=0).tolist())
    return [next(found) if each else None for each in there.tolist()]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Returns round numbers between two."""
    found = MaxNLocator(most, steps=STEPS).tick_values(low, high)
    return [0.0 if abs(v) < 1e-12 * (high - low) else float(v) for v in found if low <= v <= high]


def _path(x: np.ndarray, y: np.ndarray, steps: bool) -> str:
    said, last = [], None
    for place, height in zip(np.rint(x).tolist(), y.tolist(), strict=True):
        if math.isnan(height):
            last = None
            continue
        point = int(place), round(height)
        if last is None:
            said.append(f"M{point[0]} {point[1]}h0")
        elif steps:
            said.append(f"h{point[0] - last[0]}" + (f"v{point[1] - last[1]}" if point[1] !=
                        last[1] else ""))  # fmt: skip
        else:
            said.append(f"l{point[0] - last[0]} {point[1] - last[1]}")
        last = point
    return "".join(said)


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Returns the area between two lines, in pieces where they have no value."""
    there = np.isfinite(low) & np.isfinite(high)
    cuts = np.flatnonzero(np.diff(there.astype(int))) + 1
    said = []
    for piece in np.split(np.arange(len(x)), cuts):
        if there[piece[0]]:
            back = piece[::-1]
            said.append(_path(np.concatenate([x[piece], x[back]]),
                              np.concatenate([high[piece], low[back]]), False) + "z")  # fmt: skip
    return "".join(said)


def _rule(value: float, y: float, text: str) -> Markup:
    line = page.element("path", d=f"M{LEFT} {y:.0f}H{RIGHT}", cls="rule")
    return Markup(line + page.element("text", text, x=str(LEFT - 10), y=f"{y + 7:.0f}", cls="y"))


def _tick(x: float, text: str) -> Markup:
    line = page.element("path", d=f"M{x:.0f} {BOTTOM}v8", cls="axis")
    anchor = {"cls": "x end"} if x > RIGHT - 20 else {"cls": "x"}
    return Markup(line + page.element("text", text, x=f"{x:.0f}", y=str(BOTTOM + 32), **anchor))


def _level(name: str, y: float) -> Markup:
    line = page.element("path", d=f"M{LEFT} {y:.0f}H{RIGHT}", cls="level")
    at = y - 6 if y > TOP + 24 else y + 20
    return Markup(line + page.element("text", name, x=str(RIGHT), y=f"{at:.0f}", cls="named"))


def intervals(rows: Sequence[tuple[int, str, float, float, float]], words: str) -> Markup:
    """Returns estimates with their intervals, a row each, its name above it.

    Args:
        rows: N of the agent, name, estimate, low, high; NaN for an interval that is not known.
        words: What is shown.
    """
    held = np.array([row[2:] for row in rows], float)
    held = held[np.isfinite(held)]
    low, high = (min(0.0, held.min()), held.max()) if held.size else (0.0, 1.0)
    high = high if high > low else low + 1
    low, high = low - 0.03 * (high - low) * (low < 0), high + 0.05 * (high - low)
    left, right, row_height = 12, 600, 56
    bottom = 8 + row_height * len(rows)

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = []
    for x in ticks(low, high, 4):
        place = f"{across(x):.0f}"
        parts.append(page.element("path", d=f"M{place} 4V{bottom}", cls="rule"))
        text = f"{x:g}".replace("-", "−")
        parts.append(page.element("text", text, x=place, y=str(bottom + 26), cls="x"))
    for place, (agent, name, value, least, most) in enumerate(rows):
        y = 8 + row_height * place
        bar = "" if math.isnan(least) else page.element(
            "path", d=f"M{across(least):.0f} {y + 40}H{across(most):.0f}", cls="bar")  # fmt: skip
        hollow = "hollow" if math.isnan(least) else "point"
        dot = page.element("circle", cx=f"{across(value):.0f}", cy=str(y + 40), r="8", cls=hollow)
        text = page.element("text", name, x=str(left), y=str(y + 22), cls="row")
        parts.append(page.element("g", text, bar, dot, cls=f"a{agent}"))
    box = f"0 0 612 {bottom + 36}"
    return page.element("svg", *parts, role="img", aria_label=words, viewBox=box)
