"""What was handed to Slurm from a folder, as the executor's ledger and Slurm itself know it."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suites.records import nearest

if TYPE_CHECKING:
    from snakemake_executor_plugin_submitit.ledger import Entry, Ledger

FOLDER = Path(".snakemake/submitit")  # The executor's, as its settings say.
GRACE_S = 1.0  # Any time: a main process that lives waits for a job longer than a look.


class Handed:
    """The jobs of a ledger, and what Slurm says of those under way."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        """Reads the ledger, and asks Slurm if anything in it is under way.

        Args:
            folder: of the executor.
            say: is told if Slurm does not answer.
        """
        from snakemake_executor_plugin_submitit import queue, slurm

        self.ledger = ledger(folder)
        self.entries = {path: each for each in self.ledger.entries for path in each.outputs}
        self.states: dict[str, str] | None = {}  # None: Slurm does not answer.
        self.grace_s = GRACE_S if self.ledger.busy() else 0.0
        if self.ledger.open():
            try:
                self.states = queue.states(slurm.listing())
            except slurm.SlurmError as error:
                self.states = None
                say(str(error))

    def verdict(self, entry: "Entry") -> tuple[str, str]:
        """Returns the state of a job and why, as far as is known now."""
        from snakemake_executor_plugin_submitit import queue, runner

        if not entry.open:
            return entry.ended, entry.reason
        if not entry.id:
            return "queued", "being handed to Slurm"
        seen = "" if self.states is None else self.states.get(entry.id)
        found = queue.judge(runner.read(self.ledger.marker(entry)), seen, 0.0, self.grace_s)
        return found.state, found.reason

    def under_way(self) -> list["Entry"]:
        """Returns the jobs that Slurm has queued or running."""
        found = [each for each in self.ledger.open() if each.id]
        return [each for each in found if self.verdict(each)[0] in ("queued", "running")]

    def log(self, entry: "Entry") -> list[str]:
        """Returns the last lines that a job wrote."""
        from snakemake_executor_plugin_submitit import runner

        return runner.tail(self.ledger.marker(entry).with_suffix(".log"))


def ledger(folder: Path) -> "Ledger":
    """Returns the ledger of an executor's folder."""
    from snakemake_executor_plugin_submitit.ledger import Ledger

    return Ledger(folder)


def cancel(names: Sequence[str], folder: Path, say: Callable[[str], None]) -> list[str]:
    """Cancels jobs that are queued or running: all of them, or those of some runs.

    Args:
        names: agent/game/seed, or suite/agent/game/seed; none: everything.
        folder: of the executor.
        say: is told if Slurm does not answer.

    Returns:
        What was cancelled, for people.

    Raises:
        ValueError: a run is not under way, shares its job with others, or Slurm refuses.
    """
    from snakemake_executor_plugin_submitit import slurm

    handed = Handed(folder, say)
    under_way = handed.under_way()
    chosen = choose(names, under_way) if names else under_way
    # Those too whose ids nobody has written down yet, if everything shall stop.
    tokens = [] if names else sorted({e.token for e in handed.ledger.open() if not e.id})
    try:
        slurm.cancel(*sorted({each.id for each in chosen}))
        for token in tokens:
            slurm.cancel(f"--name={token}")
    except slurm.SlurmError as error:
        raise ValueError(str(error)) from error
    note(handed.ledger, chosen)
    return [f"{title(each)}  job {each.id}" for each in chosen]


def choose(names: Sequence[str], under_way: Sequence["Entry"]) -> list["Entry"]:
    """Returns the jobs of some runs.

    Raises:
        ValueError: a run is not under way, or shares its job with one that is not named.
    """
    known = {name: each for each in under_way for name in (title(each), whole_title(each))}
    for name in names:
        if name not in known:
            those = ", ".join(sorted({title(each) for each in under_way})) or "none"
            near = nearest(name, list(known))
            raise ValueError(f"{name!r} is not queued or running{near} (these are: {those})")
    chosen = [each for each in under_way if {title(each), whole_title(each)} & {*names}]
    check_alone(chosen, under_way)
    return chosen


def check_alone(chosen: Sequence["Entry"], under_way: Iterable["Entry"]) -> None:
    """Refuses to cancel a run whose job has other runs in it.

    Raises:
        ValueError: it has.
    """
    taken, ids = {id(each) for each in chosen}, {each.id: each for each in chosen}
    for other in under_way:
        if other.id in ids and id(other) not in taken:
            raise ValueError(
                f"{title(ids[other.id])} and {title(other)} share job {other.id}: name all of them"
            )


def note(held: "Ledger", chosen: Iterable["Entry"]) -> None:
    """Writes down what was cancelled, unless a main process lives, which does."""
    try:
        for each in chosen:
            held.end(each, "cancelled", "by reverie cancel")
    except BlockingIOError:
        return
    finally:
        held.close()


def title(entry: "Entry") -> str:
    """Returns what people call a job: agent/game/seed, if it is a run."""
    parts = place(entry)
    return "/".join(parts[2:]) if parts else entry.name


def whole_title(entry: "Entry") -> str:
    """Returns the same with the suite before it."""
    parts = place(entry)
    return "/".join(parts[1:]) if parts else entry.name


def place(entry: "Entry") -> tuple[str, ...]:
    """Returns results, suite, agent, game and seed of a run; nothing of another job."""
    parts = Path(entry.outputs[0]).with_suffix("").parts if entry.outputs else ()
    return parts if len(parts) == 5 and parts[0] == "results" else ()
