"""Episodes that are kept as evidence."""

import json
from pathlib import Path

from analysis import kept
from analysis.cells import Cell

DONE, UNFINISHED = Cell("boxing", "ppo", "boxing", 0), Cell("boxing", "ppo", "boxing", 1)


def play(root: Path, cell: Cell, returns: list[float]) -> None:
    folder = cell.folder(root / "runs")
    folder.mkdir(parents=True)
    lines = [
        {"frame": 4 * n, "return": points, "end": "terminal"} for n, points in enumerate(returns)
    ]
    for name in ("episodes", "evaluation"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_finished_runs_are_kept_with_their_receipts_and_read_back(tmp_path: Path) -> None:
    for cell, returns in ((DONE, [1.0, -2.5]), (UNFINISHED, [7.0])):
        play(tmp_path, cell, returns)
    receipt = DONE.receipt(tmp_path / "results")
    receipt.parent.mkdir(parents=True)
    receipt.write_text('{"hash": "x"}')
    kept.copy(tmp_path, [DONE, UNFINISHED], tmp_path, ["episodes", "evaluation"])
    for name in ("episodes", "evaluation"):
        found = kept.read(tmp_path / f"{name}.csv")
        assert list(found) == [("ppo", 0)]
        frames, returns = found["ppo", 0]
        assert frames.tolist() == [0, 4] and returns.tolist() == [1.0, -2.5]
    assert json.loads((tmp_path / "receipts.json").read_text()) == {"ppo/0": {"hash": "x"}}
