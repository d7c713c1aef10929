"""Colours, dashes and markers: a function of an agent's label alone.

So an agent looks the same in every figure of every suite, whoever else is in it. The agent gives
the hue; its blocks make it lighter or darker and change dash and marker, so that a ladder of
variants reads as one family and lines stay apart in greyscale.

Source: Okabe and Ito 2008, Color Universal Design (hues); system 000's results.png (PPO blue,
the imagined critic orange).
"""

import colorsys
import hashlib
from dataclasses import dataclass

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
MARKERS = ("s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Look:
    """How an agent is drawn."""

    color: str
    dash: str | tuple[int, tuple[int, ...]]
    marker: str


def look(label: str) -> Look:
    """Returns the look of an agent, from its label."""
    name = label.removesuffix(IMPORTED)
    if name != label:  # Beside an agent of that name: the same family, and yet another line.
        return Look(_shaded(look(name).color, 0.3), (0, (5, 1, 1, 1, 1, 1)), "X")
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
    hue, light, colorful = colorsys.rgb_to_hls(
        *(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    light += (1 - light) * shade if shade > 0 else light * shade
    return "#" + "".join(f"{round(255 * c):02X}" for c in colorsys.hls_to_rgb(hue, light, colorful))
