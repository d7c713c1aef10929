"""What figures and tables for papers are tested on: two agents of ours and an import."""

import re
import zlib
from pathlib import Path

from analysis.imported import main as importing
from analysis.imported.gathering import Wish as Import
from analysis.paper.material import Wish
from tests.analysis import published, sweeps

GAMES = ["pong", "breakout", "seaquest"]
ASKED = Import(None, None, None, None, False, False, 64)


def begin(root: Path, **changes: object) -> sweeps.Sweep:
    """Three games, three seeds; ppo lacks a seed of pong, dreamer_ppo all of breakout."""
    facts = {"games": GAMES, "seeds": [0, 1, 2]} | changes
    sweep = sweeps.Sweep(root, sweeps.suite(root / "suites", **facts))
    for place, game in enumerate(sweep.suite.games):
        for seed in sweep.suite.seeds:
            if (game, seed) != ("pong", 2):
                sweep.finished("ppo", game, seed, sweeps.climb(0, 10 + place, 1, 10 * place + seed))
            if game != "breakout":
                sweep.finished("dreamer_ppo", game, seed, sweeps.climb(2, 30, 1, seed))
    return sweep


def bring(sweep: sweeps.Sweep, name: str, games: list[str], seeds: int = 2) -> None:
    """Imports a file of the official shape."""
    frames = sweep.suite.frames
    xs = list(range(frames // 40, frames + 1, frames // 40))
    runs = [
        published.run(game, "theirs", seed, xs, [float(x * 20 // frames + seed) for x in xs])
        for game in games for seed in range(seeds)
    ]  # fmt: skip
    path = published.write(sweep.root / f"{name}.json", runs)
    importing.run(str(path), sweep.suite, name, sweep.results, ASKED, 1.0, "c0ffee", "")


def wish(*agents: str, **changes: object) -> Wish:
    facts = {
        "agents": agents, "games": (), "window": None, "published": None, "human": "standard",
        "resamples": 200, "seed": 0, "bare": False,
    }  # fmt: skip
    return Wish(**(facts | changes))


def page(pdf: Path) -> tuple[float, float]:
    """Width and height of a PDF's page, inches."""
    found = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf.read_bytes())
    assert found is not None
    return float(found[1]) / 72, float(found[2]) / 72


def keywords(pdf: Path) -> str:
    """What a PDF says of itself."""
    found = re.search(rb"/Keywords \((.*?[^\\])\)", pdf.read_bytes(), re.DOTALL)
    assert found is not None
    return re.sub(r"\\(.)", r"\1", found[1].decode("ascii"))


def sizes(pdf: Path) -> set[float]:
    """Sizes of all text in a PDF, points."""
    found: set[float] = set()
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf.read_bytes(), re.DOTALL):
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        found |= {float(size) for size in re.findall(rb"/F\d+ ([\d.]+) Tf", text)}
    return found
