"""Updates of the Dreamers on a GPU: kernels started one by one against one recorded graph.

    python -m benchmarks.gpu [--rounds 5] [--updates 10]

Published batch shapes, 64 x 64 RGB (Dreamer v2: gray), 6 actions, batches in pinned memory that
take turns, as replay hands them out. DreamerV3 at size1m and size12m, 16 x 64 rows.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

import agents
from benchmarks import batches, rounds
from suites.game import image_shape

RESULTS = Path(__file__).parent / "results" / "gpu.json"
ACTIONS = 6
CASES = (
    ("dreamerv3", "size1m", "bfloat16"),
    ("dreamerv3", "size12m", "bfloat16"),
    ("dreamerv3", "size12m", "float32"),
    ("dreamerv2", "", "bfloat16"),
    ("dreamerv1", "", "bfloat16"),
)


def main() -> None:
    """Measures every case in turn, prints a table and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=10, help="of a candidate in a round")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = []
    for name, block, precision in CASES:
        case = {"agent": name, "block": block, "precision": precision}
        found.append(case | measured(name, block, precision, args.rounds, args.updates))
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    print(table(found))
    rounds.write(args.out, about | {"cases": found}, {})


def measured(name: str, block: str, precision: str, turns: int, updates: int) -> dict[str, Any]:
    """Returns updates a second both ways, and the most memory that one of them took."""
    ways = {"plain": False, "graph": True}
    works, peaks = {}, {}
    for way, graphs in ways.items():
        gc.collect()  # Agents of the case before: they hold themselves.
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        works[way] = updater(name, block, precision, graphs, updates)
        works[way]()
        peaks[way] = (torch.cuda.max_memory_allocated() - before) / 2**20
    results = rounds.compare(works, "plain", turns)
    speeds = {f"{way}_per_s": results[way].speed for way in ways}
    return speeds | {"ratio": results["graph"].ratio, "peak_mib": peaks}


def updater(name: str, block: str, precision: str, graphs: bool, updates: int) -> Callable[[], int]:
    """Returns a function that takes some updates on made-up batches and waits for the last."""
    config = agents.configure(
        name, "none", [block] if block else [], {"precision": precision, "view.size": [64, 64]}
    )
    space = spaces.Dict({"image": spaces.Box(0, 255, image_shape(config.view), np.uint8)})
    agent = agents.load(name).Agent(space, spaces.Discrete(ACTIONS), config, 0, "cuda")
    agent.recorded.graphs = graphs
    two = [pinned(agent, batches.made_up(config, ACTIONS, seed)) for seed in (0, 1)]

    def work() -> int:
        for update in range(updates):
            agent.train((), two[update % 2], 0.5)
        torch.cuda.synchronize()
        return updates

    return work


def pinned(agent: Any, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a batch in arrays of the agent's."""
    held = {name: agent.buffer(array.shape, array.dtype) for name, array in batch.items()}
    for name, array in batch.items():
        held[name][:] = array
    return held


def table(found: list[dict[str, Any]]) -> str:
    """Returns a Markdown table."""
    lines = [
        "| agent | precision | plain updates/s | graph updates/s | ratio | ms an update "
        "| peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        name = f"{row['agent']}+{row['block']}" if row["block"] else row["agent"]
        cells = [
            name, row["precision"], f"{row['plain_per_s']:.1f}", f"**{row['graph_per_s']:.1f}**",
            f"{row['ratio']:.1f}", f"{1000 / row['graph_per_s']:.1f}",
            f"{row['peak_mib']['graph']:,.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
