"""What a sweep consists of: which runs, and which of them are finished, stale or missing.

A run is a point of suite x agent x game x seed. Its receipt says that it is finished and names the
configuration (by hash) that it was finished with; a receipt or run folder of another
configuration is *stale*: it is shown, never mixed with the others, and moved aside when asked.
Imports neither torch nor Snakemake, so that a Snakefile may call it at every parse.
"""

import fcntl
import functools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

import suites
from launch import config
from suites.records import Record, build, nearest, read_yaml
from suites.suite import Suite

HERE = Path(__file__).parent
SHOWN = 10  # Stale runs listed by name; a whole suite of them would hide the rest.

State = Literal["finished", "stale", "missing"]


class Resources(Record):
    """What one run asks of a machine: cores, MB of memory, devices of its own, relative time."""

    threads: PositiveInt
    mem_mb: PositiveInt
    gpu: NonNegativeInt
    work: NonNegativeInt


class Defaults(Record):
    """`launch/config.yaml`: a sweep where the command line does not say otherwise."""

    suite: str
    backend: Literal["suite", "ale", "envpool"]  # Of every run here; suite: as its suite says.
    tracking: Literal["spool", "off"]
    rerun: Literal["nothing", "stale"]
    agents: dict[str, tuple[str, ...]]
    resources: dict[str, Resources]


class Order(Record):
    """What was asked for with `--config`, defaults filled in."""

    suite: str
    agents: tuple[str, ...]
    tracking: Literal["spool", "off"]
    rerun: Literal["nothing", "stale"]
    max_hours: PositiveFloat | None  # GPU-hours or core-hours that may be left; None: any.


@dataclass(frozen=True)
class Run:
    """One run and how far it is; paths are relative to the folder that holds the results."""

    suite: str
    agent: str
    game: str
    seed: int
    hash: str
    state: State

    @property
    def name(self) -> str:
        """What messages call this run."""
        return f"{self.agent}/{self.game}/{self.seed}"

    @property
    def receipt(self) -> Path:
        """The file that says that the run is finished."""
        return Path("results", self.suite, self.agent, self.game, f"{self.seed}.json")

    @property
    def folder(self) -> Path:
        """Where the run keeps what it needs to go on, and what it logs."""
        return Path("runs", self.suite, self.agent, self.game, str(self.seed))


def defaults() -> Defaults:
    """Reads `launch/config.yaml`."""
    path = HERE / "config.yaml"
    return build(Defaults, read_yaml(path), str(path))


def load(name: str) -> Suite:
    """Returns a suite as it runs on this machine: with the backend of `launch/config.yaml`.

    Raises:
        ValueError: There is no such suite, or its file is wrong.
    """
    suite, backend = suites.load(name), defaults().backend
    return suite if backend == "suite" else suite.model_copy(update={"backend": backend})


def order(asked: dict[str, Any]) -> Order:
    """Reads what was given with `--config`.

    Raises:
        ValueError: A key, suite, agent or block that does not exist, with the nearest match.
    """
    base = defaults()
    known = {"suite": base.suite, "rerun": base.rerun, "tracking": base.tracking}
    keys = [*known, "agents", "max_hours"]
    if odd := sorted(set(asked) - set(keys)):
        raise ValueError(_unknown(odd[0], keys))
    words = known | {key: str(value) for key, value in asked.items() if key in known}
    if words["suite"].endswith(".yaml"):
        raise ValueError(f"--config suite: saw {words['suite']!r}; allowed are names of suites/")
    suite = load(words["suite"])
    chosen = _labels(asked.get("agents")) or base.agents.get(suite.name, base.agents["default"])
    _check(suite, chosen)
    rest = {"agents": chosen, "max_hours": asked.get("max_hours")}
    return build(Order, words | rest, "--config")


def survey(suite: Suite, labels: Iterable[str], root: Path = Path()) -> list[Run]:
    """Lists every run of the suite with these agents, and says how far each is."""
    return [
        Run(suite.name, label, game, seed, digest, _state(paths, digest, root))
        for label in labels
        for game in suite.games
        for seed in suite.seeds
        for digest in [config.light_hash(suite, label, game, seed)]
        for paths in [Run(suite.name, label, game, seed, digest, "missing")]
    ]


def check(suite: str, labels: Iterable[str]) -> None:
    """Checks every value of the agents' settings, in a process of its own: this imports torch.

    Raises:
        ValueError: A value that an agent refuses; the message names file and key.
    """
    words = [sys.executable, "-m", "launch.plan", suite, *labels]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip())


def receipts(runs: Iterable[Run]) -> list[str]:
    """Returns the receipts that a report of these runs needs: of all runs that are not stale."""
    return [str(run.receipt) for run in runs if run.state != "stale"]


def of_state(runs: Iterable[Run], state: State) -> list[Run]:
    """Returns the runs that are in this state."""
    return [run for run in runs if run.state == state]


def move_aside(runs: Iterable[Run], root: Path = Path()) -> list[Path]:
    """Moves receipts and run folders out of the way, so that their runs start anew.

    Returns:
        Where they are now: the old name with `.stale-` and the hash they were made with.

    Raises:
        ValueError: A process is writing to one of the folders; then nothing was moved.
    """
    runs = list(runs)
    for run in runs:
        if writer_alive(root / run.folder):
            raise ValueError(f"{run.folder} is in use by a running process; stop it first")
    places = [place for run in runs for place in (root / run.receipt, root / run.folder)]
    return [_rename(place) for place in places if place.exists()]


def writer_alive(folder: Path) -> bool:
    """Says whether a process holds the lock of a run folder."""
    try:
        with (folder / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def summary(runs: Sequence[Run]) -> str:
    """Says in a few lines what there is and what will be done."""
    count = Counter(run.state for run in runs)
    labels = ", ".join(dict.fromkeys(run.agent for run in runs))
    head = (
        f"{runs[0].suite}: {labels}; {len(runs)} runs: {count['finished']} finished, "
        f"{count['missing']} to do"
    )
    stale = of_state(runs, "stale")
    return "\n".join([head + (f", {len(stale)} stale" if stale else ""), *_stale_lines(stale)])


@functools.cache
def resources(label: str) -> Resources:
    """Returns what a run of this agent asks of a machine."""
    table = defaults().resources
    return table.get(label.split("+")[0], table["default"])


def priority(suite: Suite, agent: str, seed: int) -> int:
    """Returns which runs start first: the first seed of everything, then the longest.

    So a report has something of every game early, and short runs fill the end.
    """
    later = len(suite.seeds) - suite.seeds.index(seed)
    return later * 1_000_000 + resources(agent).work


def _stale_lines(stale: list[Run]) -> Iterator[str]:
    if not stale:
        return
    yield "stale, made with another configuration, and left out of the report:"
    yield from (f"  {run.name}" for run in stale[:SHOWN])
    if len(stale) > SHOWN:
        yield f"  and {len(stale) - SHOWN} more"
    yield "  to move these aside and train again: --config rerun=stale"


def _labels(asked: Any) -> list[str]:
    if asked is None:
        return []
    words = asked.split(",") if isinstance(asked, str) else [str(word) for word in asked]
    return [word.strip() for word in words if word.strip()]


def _check(suite: Suite, labels: Sequence[str]) -> None:
    for label in labels:
        if config.parse_label(label).sets:
            raise ValueError(f"--config agents: {label!r}: a sweep takes named blocks, no values")
        config.light_hash(suite, label, suite.games[0], suite.seeds[0])
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise ValueError(f"--config agents: {twice[0]!r} is there twice")


def _resolve(suite: str, *labels: str) -> None:
    """Checks agents' settings against their classes, and leaves at the first that is refused."""
    one = load(suite)
    for label in labels:
        try:
            config.resolve(one, label, one.games[0], one.seeds[0])
        except ValueError as error:
            sys.exit(str(error))


def _unknown(key: str, known: list[str]) -> str:
    return f"--config: unknown key {key!r}{nearest(key, known)} (allowed: {', '.join(known)})"


def _state(run: Run, digest: str, root: Path) -> State:
    receipt = _hash_in(root / run.receipt)
    if receipt is not None:
        return "finished" if receipt == digest else "stale"
    begun = _hash_in(root / run.folder / "config.json")
    return "missing" if begun in (None, digest) else "stale"


def _hash_in(path: Path) -> str | None:
    """Returns the hash that a file names; None without a file, "unreadable" for a broken one.

    Raises:
        ValueError: the file may be whole, but the disk does not give it: to train again what it
            stands for would be rash.
    """
    try:
        return str(json.loads(path.read_bytes())["hash"])
    except FileNotFoundError:
        return None
    except NotADirectoryError:  # A file is where a folder should be.
        return "unreadable"
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError):
        return "unreadable"


def _rename(place: Path) -> Path:
    made_with = _hash_in(place / "config.json" if place.is_dir() else place) or "unknown"
    aside = place.with_name(f"{place.name}.stale-{made_with}")
    number = 2
    while aside.exists():
        aside = place.with_name(f"{place.name}.stale-{made_with}-{number}")
        number += 1
    return place.rename(aside)


if __name__ == "__main__":
    _resolve(*sys.argv[1:])
