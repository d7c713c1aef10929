"""Draws ppo_pong.png and .pdf from the run's episodes.

    python docs/evidence/ppo_pong/figure.py [RUN]

With a run folder, copies what the figure needs out of it first.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from analysis import figures, palette

HERE = Path(__file__).parent
KEPT = ("frame", "agent_step", "return", "length", "end")
WINDOW = 100  # Episodes of the running mean.


def copy(run: Path) -> None:
    """Copies episodes, and the facts of the run, into this folder."""
    lines = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    with (HERE / "episodes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, KEPT, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    for name in ("receipt.json", "config.json"):
        (HERE / name).write_text((run / name).read_text())


def draw() -> None:
    """Draws every training episode and the running mean."""
    with (HERE / "episodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = np.array([int(row["agent_step"]) for row in rows]) / 1e6
    returns = np.array([float(row["return"]) for row in rows])
    mean = np.convolve(returns, np.ones(WINDOW) / WINDOW, mode="valid")
    with figures.theme():
        figure, ax = plt.subplots(figsize=(figures.COLUMN + 0.4, 2.5), layout="constrained")
        color = palette.look("ppo").color
        ax.scatter(steps, returns, s=2, color=color, alpha=0.25, linewidths=0, rasterized=True)
        ax.plot(steps[WINDOW - 1 :], mean, color=color)
        ax.axhline(0, color="#888888", linewidth=0.6, zorder=0)
        ax.set(xlabel="Agent steps (millions)", ylabel="Return (points)", ylim=(-22, 22))
        ax.set_title("PPO on Pong, one seed\ntraining episodes, and the mean of the last 100")
        figure.savefig(HERE / "ppo_pong.png", dpi=200)
        figure.savefig(HERE / "ppo_pong.pdf")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        copy(Path(sys.argv[1]))
    draw()
