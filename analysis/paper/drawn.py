"""What a kind of figure gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from analysis.paper.material import Material


@dataclass(frozen=True)
class Drawn:
    """A figure and what is to be said of it."""

    figure: Figure
    caption: str
    games: list[str]  # That are in it.
    numbers: dict[str, Any]  # That the figure prints.


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    draw: Callable[[Material], Drawn]
    least: int  # Contenders.
    published: bool  # Whether it draws published scores.
