"""Colours, dashes and markers: a function of an agent's label alone.

So an agent looks the same in every figure of every suite, whoever else is in it. The agent gives
the hue; its blocks make it lighter or darker and change dash and marker, so that a ladder of
variants reads as one family and lines stay apart in greyscale. A printed figure cannot do without
that: within `apart` those that look alike yield to those named before them.

Source: Okabe and Ito 2008, Color Universal Design (hues); system 000's results.png (PPO blue,
the imagined critic orange).
"""

import colorsys
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

# Hues that a reader knows from published figures. Other names get one of OTHERS by their hash.
HUES = {
    "random": "#808080",
    "ppo": "#0072B2",
    "dreamer_ppo": "#D55E00",
    "dreamerv1": "#CC79A7",
    "dreamerv2": "#E69F00",
    "dreamerv3": "#009E73",
}
OTHERS = ("#56B4E9", "#AA4499", "#999933", "#44AA99", "#CC6677", "#8C6D31", "#7B68C8", "#4F9D2E")

# The rungs of the Dreamer-PPO ladder, weakest lightest: shade towards white (below 0: black).
RUNGS = {"ppo": (0.50, ":", "s"), "aux": (0.28, "--", "^"), "seed": (-0.45, "-.", "D")}
IMPORTED = " (imported)"  # As analysis/brought.py marks them.
SHADES = (0.55, 0.35, -0.25, -0.45)
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
SPARE = ((0, (8, 2)), (0, (3, 1, 1, 1, 3, 4)))  # For `distinct`, when all of these are taken.
MARKERS = ("s", "^", "D", "v", "P", "X")
NEAR = 60  # Colours nearer than this, in 8-bit RGB, are taken for one.

Dash = str | tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Look:
    """How an agent is drawn."""

    color: str
    dash: Dash
    marker: str


_APART: ContextVar[Mapping[str, Look]] = ContextVar("apart", default=MappingProxyType({}))


def look(label: str) -> Look:
    """Returns the look of an agent, from its label."""
    return _APART.get().get(label) or _own(label)


@contextlib.contextmanager
def apart(labels: Sequence[str]) -> Iterator[None]:
    """Has `look` give these labels looks of which no two share colour, dash or marker."""
    token = _APART.set(distinct(labels))
    try:
        yield
    finally:
        _APART.reset(token)


def distinct(labels: Sequence[str]) -> dict[str, Look]:
    """Returns looks that differ in colour, dash and marker, as long as there are others.

    Each keeps its own look where nobody before it has that.
    """
    found: dict[str, Look] = {}
    for label in dict.fromkeys(labels):
        own, taken = _own(label), list(found.values())
        hues = chain([own.color], HUES.values(), OTHERS)
        free = (hue for hue in hues if not any(_near(hue, each.color) for each in taken))
        dashes = [
            each for each in (own.dash, "-", *DASHES, *SPARE) if each not in {t.dash for t in taken}
        ]
        marks = [
            each for each in (own.marker, "o", *MARKERS) if each not in {t.marker for t in taken}
        ]
        found[label] = Look(
            next(free, own.color), next(iter(dashes), own.dash), next(iter(marks), own.marker)
        )
    return found


def _near(one: str, other: str) -> bool:
    return sum((a - b) ** 2 for a, b in zip(_rgb(one), _rgb(other), strict=True)) < NEAR**2


def _rgb(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def _own(label: str) -> Look:
    name = label.removesuffix(IMPORTED)
    if name != label:  # Beside an agent of that name: the same family, and yet another line.
        return Look(_shaded(_own(name).color, -0.3), (0, (5, 1, 1, 1, 1, 1)), "X")
    agent, _, blocks = label.partition("+")
    hue = HUES.get(agent) or OTHERS[_pick(agent, len(OTHERS))]
    if not blocks:
        return Look(hue, "-", "o")
    shade, dash, marker = RUNGS.get(blocks) or (
        SHADES[_pick(blocks, len(SHADES))],
        DASHES[_pick(f"{blocks} dash", len(DASHES))],
        MARKERS[_pick(f"{blocks} marker", len(MARKERS))],
    )
    return Look(_shaded(hue, shade), dash, marker)


def _pick(name: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % count


def _shaded(color: str, shade: float) -> str:
    hue, light, colorful = colorsys.rgb_to_hls(*(part / 255 for part in _rgb(color)))
    light += (1 - light) * shade if shade > 0 else light * shade
    return "#" + "".join(f"{round(255 * c):02X}" for c in colorsys.hls_to_rgb(hue, light, colorful))
