"""Draws boxing.png and .pdf from the runs' episodes, and prints the tables.

    python docs/evidence/boxing/figure.py [FOLDER]

With a folder that holds runs/boxing and results/boxing, copies what is needed out of it first.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from analysis import cells, figures, kept, palette
from analysis.kept import Episodes

HERE = Path(__file__).parent
AGENTS = ("dreamerv3", "ppo", "random")
SEEDS = (0, 1, 2)
FRAMES, BINS = 84_000, 6  # Of training; two games in each bin.


def binned(runs: Episodes, agent: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the middles (B,) of the bins of training, and each seed's mean return there, (S, B).

    A bin in which no game of any seed ended is left out.
    """
    edges = np.linspace(0, FRAMES, BINS + 1)
    found = np.full((len(SEEDS), BINS), np.nan)
    for number, seed in enumerate(SEEDS):
        frames, points = runs[agent, seed]
        place = np.clip(np.searchsorted(edges, frames) - 1, 0, BINS - 1)
        for index in set(place.tolist()):
            found[number, index] = points[place == index].mean()
    seen = np.isfinite(found).any(0)
    return (edges[:-1] + edges[1:])[seen] / 2, found[:, seen]


def draw(training: Episodes, played: Episodes) -> None:
    """Draws training on the left and evaluation on the right."""
    with figures.theme():
        size = (figures.COLUMN * 2, 2.4)
        figure, (left, right) = plt.subplots(
            1, 2, figsize=size, sharey=True, layout="constrained", width_ratios=(3, 2)
        )
        for agent in AGENTS:
            learning(left, training, agent)
        evaluation(right, played)
        left.set(xlabel="Frames (thousands)", ylabel="Points of a game", xlim=(0, FRAMES / 1e3))
        left.legend(frameon=False, loc="upper left")
        figure.savefig(HERE / "boxing.png", dpi=200)
        figure.savefig(HERE / "boxing.pdf")


def learning(ax: Axes, runs: Episodes, agent: str) -> None:
    """Draws every training game, and the mean over seeds with its spread."""
    color = palette.look(agent).color
    for seed in SEEDS:
        frames, points = runs[agent, seed]
        ax.plot(frames / 1e3, points, ".", color=color, markersize=2.5, alpha=0.5)
    middle, means = binned(runs, agent)
    middle = middle / 1e3
    ax.plot(middle, np.nanmean(means, 0), color=color, linewidth=1.2, label=agent)
    low, high = np.nanmin(means, 0), np.nanmax(means, 0)
    ax.fill_between(middle, low, high, color=color, alpha=0.15, linewidth=0)


def evaluation(ax: Axes, runs: Episodes) -> None:
    """Draws every evaluation game of every seed, and each seed's mean."""
    for column, agent in enumerate(AGENTS):
        color = palette.look(agent).color
        for seed in SEEDS:
            at = column + (seed - 1) * 0.25
            points = runs[agent, seed][1]
            ax.plot(np.full(len(points), at), points, ".", color=color, markersize=3, alpha=0.6)
            ax.plot([at - 0.09, at + 0.09], [points.mean()] * 2, color=color, linewidth=1.6)
    ax.set_xticks(range(len(AGENTS)), AGENTS)
    ax.set_xlabel("Evaluation, three seeds")


def tell(training: Episodes, played: Episodes) -> None:
    """Prints the evaluation of each seed, and training in bins."""
    for agent in AGENTS:
        means = [float(played[agent, seed][1].mean()) for seed in SEEDS]
        print(
            f"{agent}: seeds {', '.join(f'{mean:.1f}' for mean in means)}; "
            f"mean {np.mean(means):.2f}, standard deviation over seeds {np.std(means, ddof=1):.2f}"
        )
        print(
            "  training:", " ".join(f"{x:.1f}" for x in np.nanmean(binned(training, agent)[1], 0))
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        wanted = [cells.Cell("boxing", agent, "boxing", seed) for agent in AGENTS for seed in SEEDS]
        kept.copy(Path(sys.argv[1]), wanted, HERE, ["episodes", "evaluation"])
    both = kept.read(HERE / "episodes.csv"), kept.read(HERE / "evaluation.csv")
    draw(*both)
    tell(*both)
