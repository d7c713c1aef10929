"""Cells: the points suite x agent x game x seed that a sweep fills, and where their files are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from suites.suite import Suite


@dataclass(frozen=True, order=True)
class Cell:
    """One run of a suite, done or not."""

    suite: str
    agent: str  # label: agent, or agent+block
    game: str
    seed: int

    def receipt(self, results: Path) -> Path:
        """Returns where a finished run says so."""
        return results / self.suite / self.agent / self.game / f"{self.seed}.json"

    def folder(self, runs: Path) -> Path:
        """Returns where the run's own files are."""
        return runs / self.suite / self.agent / self.game / str(self.seed)

    def __str__(self) -> str:
        return f"{self.suite}/{self.agent}/{self.game}/{self.seed}"


def expected(suite: Suite, agents: Iterable[str]) -> list[Cell]:
    """Returns every cell of a suite for some agents, in order."""
    return sorted(
        Cell(suite.name, agent, game, seed)
        for agent in set(agents)
        for game in suite.games
        for seed in suite.seeds
    )


def found_agents(suite: Suite, results: Path, runs: Path) -> list[str]:
    """Returns the labels that have a receipt or a run folder in this suite, sorted."""
    receipts = (results / suite.name).glob("*/*/*.json")
    configs = (runs / suite.name).glob("*/*/*/config.json")
    # A seed that is not a number was moved aside, or is no run: figures/games/pong.json.
    places = [p.with_suffix("").parts[-3:] for p in receipts] + [p.parts[-4:-1] for p in configs]
    return sorted({agent for agent, game, seed in places if game in suite.games and seed.isdigit()})


def of_receipts(suite: Suite, receipts: Sequence[Path]) -> list[Cell]:
    """Returns the cells that receipts' paths name.

    Raises:
        ValueError: A path does not end in SUITE/AGENT/GAME/SEED.json of this suite.
    """
    return sorted({_of_receipt(suite, path) for path in receipts})


def _of_receipt(suite: Suite, path: Path) -> Cell:
    if len(path.parts) < 4 or not path.stem.isdigit() or path.parts[-4] != suite.name:
        raise ValueError(f"{path}: a receipt's path ends in {suite.name}/AGENT/GAME/SEED.json.")
    return Cell(suite.name, path.parts[-3], path.parts[-2], int(path.stem))
