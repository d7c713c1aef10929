"""Score files as others publish them, generated: the shape of the originals, none of their numbers.

`atari100k`: 26 games x 5 seeds, a point for every episode. `atari57`: 57 games x 3 to 6 seeds, a
mean for every 400,000 frames, null where there is none. `dreamerv2`: text for seeds, `james_bond`.
`muzero`: one averaged run a game, points anywhere.
"""

import gzip
import json
from pathlib import Path

import numpy as np

import suites
from analysis.imported import main, store
from suites import Suite

V2_SEEDS = ("a7", "b1", "c3")
SHORT = {("private_eye", 2): 29_600_000, ("video_pinball", 0): 156_000_000}


def atari100k(method: str = "dreamerv3", seed: int = 0) -> list[dict]:
    """Runs of the 26 games; no episode of gopher's seed 4 ends in the last bin."""
    rng = np.random.default_rng(seed)
    runs = []
    for game in suites.load("atari100k").games:
        for number in range(5):
            ends = np.sort(rng.choice(np.arange(2_000, 398_000, 4), 40, replace=False))
            ends = np.append(ends[ends < 390_000], 395_000)
            if (game, number) == ("gopher", 4):
                ends = ends[:-1]
            returns = (ends // 1000 + number).astype(float)
            runs.append(run(game, method, number, ends.tolist(), returns.tolist()))
    return runs


def atari57(method: str = "dreamerv3") -> list[dict]:
    """Runs of the 57 games; the first mean is null, two runs are short."""
    runs = []
    for place, game in enumerate(suites.load("atari57").games):
        for number in range(3 + place % 4):
            last = SHORT.get((game, number), 200_000_000)
            xs = list(range(0, last + 1, 400_000))
            ys = [None, *(float(x // 400_000 + number) for x in xs[1:])]
            runs.append(run(game, method, number, xs, ys))
    return runs


def dreamerv2(methods: tuple[str, ...] = ("dreamerv2", "nosched")) -> list[dict]:
    """Runs of 55 games in bins of a million frames; one run ends at 120 million."""
    games = [game for game in suites.load("atari57").games if game not in ("defender", "surround")]
    runs = []
    for method in methods:
        for game in games:
            for number, seed in enumerate(V2_SEEDS):
                last = 120 if (game, number) == ("pong", 1) else 200
                xs = [million * 1_000_000 for million in range(last + 1)]
                ys = [float(million + number) for million in range(last + 1)]
                name = "james_bond" if game == "jamesbond" else game
                runs.append(run(name, method, seed, xs, ys))
    return runs


def muzero() -> list[dict]:
    """One run a game, of 87 points that lie differently in each."""
    rng = np.random.default_rng(1)
    runs = []
    for game in suites.load("atari57").games:
        xs = np.sort(rng.choice(np.arange(1, 198), 87, replace=False)) * 1_000_000 + 137
        xs[-1] = 198_500_000
        runs.append(run(game, "muzero", 0, xs.tolist(), list(map(float, range(87)))))
    return runs


def run(game: str, method: str, seed: int | str, xs: list, ys: list) -> dict:
    return {"task": f"atari_{game}", "method": method, "seed": seed, "xs": xs, "ys": ys}


def write(path: Path, runs: object) -> Path:
    """Writes JSON, gzip where the name says so."""
    data = json.dumps(runs).encode()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def bring(
    source: Path, suite: Suite, name: str, results: Path, **wishes: object
) -> tuple[str, store.Import]:
    """Imports a source; returns what was said of it, and what was kept."""
    asked = {"format": None, "method": None, "kind": None, "frames_per_step": None}
    asked |= {"skip_unknown": False, "force": False, "max_mib": 64} | wishes
    said = main.run(
        str(source), suite, name, results, main.Wish(**asked), 5.0, "c0ffee", "sqlite:///none.db"
    )
    return said, store.read(store.folder(results, suite.name, name))
