"""Draws learn_catch.png and .pdf from the runs' episodes, and prints the table.

    python docs/evidence/learn_catch/figure.py [FOLDER]

With a folder that holds runs/learn and results/learn, copies what is needed out of it first.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from analysis import cells, figures, kept, palette
from analysis.kept import Episodes

HERE = Path(__file__).parent
AGENTS = ("dreamerv1", "dreamerv2", "dreamerv3")
SEEDS = (0, 1, 2)
WINDOW = 100  # Episodes of the running mean: the suite's score window.
TARGET = 0.9


def running(returns: np.ndarray) -> np.ndarray:
    """Returns the mean of each window of episodes."""
    return np.convolve(returns, np.ones(WINDOW) / WINDOW, mode="valid")


def draw(runs: Episodes) -> None:
    """Draws the running mean of every seed, an axis for each agent."""
    with figures.theme():
        size = (figures.COLUMN * 2, 2.2)
        figure, axes = plt.subplots(1, 3, figsize=size, sharey=True, layout="constrained")
        for ax, agent in zip(axes, AGENTS, strict=True):
            ax.axhline(1.0, color="#888888", linewidth=0.6, zorder=0)
            ax.axhline(TARGET, color="#888888", linewidth=0.6, linestyle="--", zorder=0)
            for frames, returns in (runs[agent, seed] for seed in SEEDS if (agent, seed) in runs):
                mean = running(returns)
                ax.plot(frames[WINDOW - 1 :] / 1e3, mean, color=palette.look(agent).color, lw=1)
            ax.set(title=agent, xlabel="Frames (thousands)", ylim=(-1.05, 1.1))
        axes[0].set_ylabel("Return, mean of the last 100")
        figure.savefig(HERE / "learn_catch.png", dpi=200)
        figure.savefig(HERE / "learn_catch.pdf")


def tell(runs: Episodes) -> None:
    """Prints the last windows, and when each run first reached the target."""
    for (agent, seed), (frames, returns) in runs.items():
        mean = running(returns)
        above = np.flatnonzero(mean >= TARGET)
        first = int(frames[WINDOW - 1 + above[0]]) if len(above) else "never"
        print(f"{agent} seed {seed}: last 100 {mean[-1]:.2f}, {TARGET} first at frame {first}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        wanted = [cells.Cell("learn", agent, "catch", seed) for agent in AGENTS for seed in SEEDS]
        kept.copy(Path(sys.argv[1]), wanted, HERE, ["episodes"])
    everything = kept.read(HERE / "episodes.csv")
    draw(everything)
    tell(everything)
