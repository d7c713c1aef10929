"""MLflow as a view of the run folders: brings what is in their files to a database or server.

Training never talks to MLflow. A process of its own reads the files and writes in batches; whatever
happens to it or to the server, a later `reverie sync` catches up. Importing this module costs
nothing: MLflow is imported by the first sync.

    python -m launch.tracking --prepare --root ROOT
    python -m launch.tracking --follow RUN --parent PID --root ROOT
"""

import argparse
import contextlib
import difflib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch import mlflow_store, mlflow_sync, mlflow_view
from launch.mlflow_store import MissingError, RefusedError, Store, UnavailableError, shown

UNAVAILABLE = 69  # Exit code: EX_UNAVAILABLE of sysexits.h.
INTERVAL_S = 10.0
LONGEST_PAUSE_S = 300.0  # Between tries while a server is down.
LONGEST_START_S = 120.0  # For which a sweep waits for MLflow before it goes on without.
FOLLOWER_NICENESS = 10
ENDINGS = (signal.SIGTERM, signal.SIGINT)
LATER = "Nothing is lost: `reverie sync` brings the rest once it is back."
MISSING = "MLflow is not installed: `pip install mlflow`, or set tracking: off."

COMMAND = (sys.executable, "-m", "launch.tracking")

Say = Callable[[str], None]


@dataclass
class Report:
    """What a sync did."""

    uri: str
    runs: int = 0  # Run folders that were looked at.
    points: int = 0  # Written.
    problem: str = ""  # Why MLflow cannot be used at all, in one line.
    notes: list[str] = field(default_factory=list)  # What was left out, a line each.

    @property
    def code(self) -> int:
        """Exit code: 0 all is there, 1 something was left out, 69 MLflow cannot be used."""
        return UNAVAILABLE if self.problem else int(bool(self.notes))

    def summary(self) -> str:
        """Says in one line what was done."""
        return f"{self.runs} runs, {self.points} new points in {shown(self.uri)}"


def address(root: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Returns the address of MLflow: MLFLOW_TRACKING_URI, else mlflow.db in the project's root."""
    uri = environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    path = mlflow_store.sqlite_path(uri)
    return f"sqlite:///{(root / path).resolve()}" if path else uri


def prepare(root: Path) -> str:
    """Creates the database, or asks the server, before runs start; quick where a file is there.

    Returns:
        What is wrong, in one line; empty when nothing is.
    """
    try:
        mlflow_store.prepare(address(root), root)
    except MissingError:
        return MISSING
    except UnavailableError as error:
        return str(error)
    return ""


def prepare_apart(root: Path, patience_s: float = LONGEST_START_S) -> str:
    """Does so in a process of its own, so that this one stays small.

    Returns:
        What is wrong, in one line; empty when nothing is.
    """
    uri = shown(address(root))
    # One try is enough: whoever follows the runs tries again later.
    once = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    try:
        done = subprocess.run(
            [*COMMAND, "--prepare", "--root", str(root.resolve())], cwd=root,
            env=once | _environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=patience_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"MLflow at {uri} does not answer within {patience_s:.0f} s"
    if not done.returncode:
        return ""
    said = shown(done.stdout.strip().rpartition("\n")[2])
    if done.returncode == UNAVAILABLE and said:
        return said
    return f"MLflow at {uri} cannot be prepared: {fate(done.returncode, said)}"


def fate(code: int, said: str) -> str:
    """Says why a process did not do what it was started for."""
    if code < 0:
        return f"its process was killed by signal {-code}"
    return said or f"its process left with exit code {code}, and said nothing"


def targets(root: Path, words: Iterable[str]) -> list[Path]:
    """Returns the folders that are meant by suites and run folders; all runs for no word.

    Raises:
        ValueError: a word is neither; the message names the nearest.
    """
    return [_target(root, word) for word in words] or [root / "runs"]


def sync(
    root: Path,
    runs: Sequence[Path],
    *,
    follow: bool = False,
    until: Callable[[], bool] | None = None,
    interval_s: float = INTERVAL_S,
    say: Say | None = None,
) -> Report:
    """Brings run folders to MLflow.

    Args:
        root: of the project.
        runs: run folders, or folders that have some somewhere in them, now or later.
        follow: go on as the folders grow.
        until: ends following, after a last pass; None follows for ever.
        interval_s: between two passes; longer while MLflow cannot be used.
        say: gets every new problem once; None prints to stderr.
    """
    work = _Work(root, say or _print)
    report = work.once(runs)
    with contextlib.suppress(KeyboardInterrupt):
        while follow and not work.hopeless:
            wait(pause(interval_s, work.failures), until)
            follow = until is None or not until()
            points = report.points
            report = work.once(runs)
            report.points += points
    return report


def follower(run: Path, root: Path, interval_s: float = INTERVAL_S) -> subprocess.Popen:
    """Starts a process of low priority that brings a folder to MLflow as it grows.

    It ends by itself, after a last pass, when this process is gone however that happened. It
    writes what it has to say to mlflow.log in the folder.
    """
    run.mkdir(parents=True, exist_ok=True)
    words = ["--follow", str(run.resolve()), "--parent", str(os.getpid())]
    words += ["--root", str(root.resolve()), "--interval", str(interval_s)]
    # Until the follower listens to signals they wait for it, so none can end it too early.
    with (run / "mlflow.log").open("a") as log, _blocked(ENDINGS):
        return subprocess.Popen(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environ(),
            cwd=root,
            start_new_session=True,  # Ctrl-C is for the run; the follower then ends by itself.
        )


def finish(process: subprocess.Popen, patience_s: float) -> int | None:
    """Asks a follower for its last pass and waits for it; None when that takes too long."""
    process.terminate()
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return None


def pause(interval_s: float, failures: int) -> float:
    """Returns how long to wait for the next pass: doubled with every failure in a row."""
    return max(interval_s, min(LONGEST_PAUSE_S, interval_s * 2.0 ** min(failures, 30)))


def wait(seconds: float, until: Callable[[], bool] | None) -> None:
    """Sleeps, but not on when `until` comes true."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not (until and until()):
        time.sleep(min(left, 0.25))


class _Work:
    """What one process remembers between its passes."""

    def __init__(self, root: Path, say: Say):
        """Starts with nothing known."""
        self.root, self.say, self.uri = root, say, address(root)
        self.store: Store | None = None
        self.hopeless = False
        self.failures = 0  # In a row.
        self.seen: dict[Path, tuple] = {}  # Fingerprint and status.
        self.notes: dict[Path, list[str]] = {}
        self.problem = ""

    def once(self, runs: Sequence[Path]) -> Report:
        """Makes one pass over all folders; stops at once when MLflow cannot be used."""
        report, problem = Report(self.uri), ""
        try:
            for folder in _folders(runs):
                report.runs += 1
                report.points += self._push(folder)
        except MissingError:
            self.hopeless, problem = True, MISSING
        except UnavailableError as error:
            self.store, problem = None, f"{error}. {LATER}"
        self._tell(problem)
        self.failures = self.failures + 1 if problem else 0
        report.problem = problem
        report.notes = [note for notes in self.notes.values() for note in notes]
        return report

    def _push(self, folder: Path) -> int:
        try:
            now = _fingerprint(folder)
            if self._settled(folder, now):
                return 0
            self.store = self.store or Store(self.uri, self.root)
            done = mlflow_sync.push(self.store, folder, self.root)
        except (RefusedError, ValueError, OSError) as error:
            self._note(folder, [str(error)])
            return 0
        self._note(folder, done.notes)
        self.seen[folder] = (now, done.status)
        return done.points

    def _settled(self, folder: Path, now: tuple) -> bool:
        """Says whether nothing is new: neither in the files, nor did the process die silently."""
        before, status = self.seen.get(folder, ((), ""))
        if before != now:
            return False
        view = mlflow_view.load(folder, self.root) if status == "RUNNING" else None
        return view is None or view.status == status

    def _note(self, folder: Path, notes: list[str]) -> None:
        lines = [f"{folder}: {note}" for note in dict.fromkeys(notes)]
        for line in lines:
            if line not in self.notes.get(folder, []):
                self.say(line)
        self.notes[folder] = lines

    def _tell(self, problem: str) -> None:
        if problem and not self.problem:
            self.say(problem)
        if self.problem and not problem:
            self.say(f"MLflow at {shown(self.uri)} can be used again; all caught up.")
        self.problem = problem


def _fingerprint(folder: Path) -> tuple:
    """Changes when a file of the run does."""
    kinds = {".json", ".jsonl", ".npz", *mlflow_view.MEDIA}
    paths = [*folder.iterdir(), *folder.glob("checkpoints/*"), *folder.glob("media/*")]
    ours = [path for path in paths if path.suffix in kinds and path.name != "mlflow.json"]
    return tuple((path.name, *_stamp(path)) for path in sorted(ours))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:  # A checkpoint that has just made way for a newer one.
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _folders(places: Iterable[Path]) -> Iterator[Path]:
    """Finds the run folders in places that may not be there yet."""
    for place in places:
        for at, inside, files in os.walk(place):
            inside.sort()
            if "config.json" in files:
                inside.clear()  # Nothing in a run folder is another's.
                yield Path(at)


def _target(root: Path, word: str) -> Path:
    for place in (root / "runs" / word, root / word, Path(word)):
        if place.is_dir():
            return place
    known = sorted(path.name for path in (root / "runs").glob("*") if path.is_dir())
    close = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"{word!r} is neither a suite that has runs (there are {', '.join(known) or 'none'}) nor a "
        f"folder{hint}"
    )


def _environ() -> dict[str, str]:
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"
    }  # fmt: skip


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(args: argparse.Namespace) -> int:
    """Does what `reverie sync [TARGET ...] [--follow]` asks for, in the folder it is called in.

    Raises:
        ValueError: a target is neither a suite nor a folder.
    """
    root = Path.cwd()
    report = sync(root, targets(root, args.targets), follow=args.follow)
    print(report.summary())
    return report.code


def apart(words: Sequence[str]) -> int:
    """Prepares MLflow, or follows one folder until its parent is gone or asks for the end."""
    parser = argparse.ArgumentParser(prog="python -m launch.tracking", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prepare", action="store_true")
    what.add_argument("--follow", type=Path, metavar="RUN")
    parser.add_argument("--parent", type=int, metavar="PID")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--interval", type=float, default=INTERVAL_S)
    args = parser.parse_args(words)
    if args.follow and args.parent is None:
        parser.error("--follow needs --parent: it ends when that process does")
    if args.prepare:
        problem = prepare(args.root)
        print(problem)
        return UNAVAILABLE if problem else 0
    os.nice(FOLLOWER_NICENESS)
    until = _leaving(args.parent)
    wait(args.interval, until)  # A run that has just begun has nothing to show.
    report = sync(args.root, [args.follow], follow=True, until=until, interval_s=args.interval)
    return report.code


@contextlib.contextmanager
def _blocked(signals: Iterable[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leaving(parent: int) -> Callable[[], bool]:
    """Returns what says whether to leave: the parent is gone, or a signal came."""
    asked: list[Any] = []
    for number in ENDINGS:
        signal.signal(number, lambda *_: asked.append(True))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    ours = os.getppid() == parent

    def leaving() -> bool:
        gone = os.getppid() != parent if ours else not Path(f"/proc/{parent}").exists()
        return bool(asked) or gone

    return leaving


if __name__ == "__main__":
    sys.exit(apart(sys.argv[1:]))
