"""Episodes and receipts that are kept as evidence, beside the script that draws their figure.

A sweep's run folders are large and stay where they are; a CSV of its episodes and a JSON of its
receipts are small, and enough to draw its figures anew.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import files
from analysis.cells import Cell

COLUMNS = ("agent", "seed", "frame", "return")

# Of each run (agent, seed): frames and returns of its episodes, (N,) each.
Episodes = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]


def copy(root: Path, cells: Sequence[Cell], target: Path, names: Sequence[str]) -> None:
    """Writes <name>.csv with the episodes of finished runs, and receipts.json.

    Args:
        root: holds runs/ and results/.
        cells: the runs, of one game; those that have not finished are no evidence.
        target: folder of the files.
        names: of the run folders' files of episodes: "episodes", "evaluation".
    """
    done = [cell for cell in cells if cell.receipt(root / "results").is_file()]
    receipts = {
        f"{cell.agent}/{cell.seed}": files.read_json(cell.receipt(root / "results"))
        for cell in done
    }
    (target / "receipts.json").write_text(json.dumps(receipts, indent=2) + "\n")
    for name in names:
        with (target / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for cell in done:
                lines = files.read_lines(cell.folder(root / "runs") / f"{name}.jsonl")
                said = {"agent": cell.agent, "seed": cell.seed}
                writer.writerows(said | line for line in lines)


def read(path: Path) -> Episodes:
    """Returns the episodes of a CSV, by agent and seed."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            run = row["agent"], int(row["seed"])
            found.setdefault(run, []).append((float(row["frame"]), float(row["return"])))
    return {run: tuple(np.array(rows).T) for run, rows in found.items()}
