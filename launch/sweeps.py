"""The verbs of `reverie` about sweeps on a cluster."""

import argparse
import sys
from pathlib import Path

from launch.handed import FOLDER
from launch.parser import Verbs, labels, positive, verb


def add(verbs: Verbs) -> None:
    """Adds them all."""
    for one in (_estimate, _status, _attach, _cancel, _doctor):
        one(verbs)


def _estimate(verbs: Verbs) -> None:
    sub = verb(
        verbs, estimate, "estimate", "say what is left of a suite: runs, steps, hours, disk, end",
        "From speeds of finished runs, of runs under way, or of a short real run here and now,\n"
        "which is remembered. Nothing is guessed. Exit code 2 above --max-hours.\n\n"
        "  reverie estimate atari100k --agents ppo,dreamerv3 --parallel 64 --max-hours 500\n"
        "  srun --gpus 1 reverie estimate atari100k --measure",
    )  # fmt: skip
    sub.add_argument("suite", help="name of a suite")
    sub.add_argument("--agents", help="labels, comma between (default: of launch/config.yaml)")
    sub.add_argument("--parallel", type=positive, metavar="N", help="runs at once (default: here)")
    sub.add_argument(
        "--measure", type=positive, nargs="?", const=120, metavar="SECONDS",
        help="measure each agent that has no speed, for so long at most (default 120)",
    )  # fmt: skip
    sub.add_argument("--max-hours", type=float, metavar="H", help="refuse more GPU- or core-hours")


def estimate(args: argparse.Namespace) -> None:
    """Says what a suite will cost."""
    from launch.cost import ask

    ask.main(args, Path.cwd())


def _status(verbs: Verbs) -> None:
    sub = verb(
        verbs, status, "status", "show how far every run of a sweep is, on Slurm or here",
        "Reads what runs and the sweep left in this folder, and asks Slurm once.\n\n"
        "  reverie status                what was handed to Slurm, or has run here\n"
        "  reverie status atari100k --agents dreamerv3,ppo",
    )  # fmt: skip
    sub.add_argument("suites", nargs="*", metavar="SUITE", help="name of a suite")
    sub.add_argument("--agents", type=labels, help="labels, comma between")
    _folder(sub)


def status(args: argparse.Namespace) -> None:
    """Shows a sweep."""
    from launch import status as showing

    print(showing.main(args.suites, args.agents, Path.cwd(), args.folder, _say))


def _attach(verbs: Verbs) -> None:
    sub = verb(
        verbs, attach, "attach", "go on with the sweep that was handed to Slurm last",
        "While its main process lives, its table is shown again and again; after that was killed\n"
        "or logged out, the same command is given again: it takes up what is queued or running.",
    )  # fmt: skip
    _folder(sub)


def attach(args: argparse.Namespace) -> None:
    """Attaches to a sweep."""
    from launch import status as showing

    showing.attach(Path.cwd(), args.folder, sys.stdout, _say)


def _cancel(verbs: Verbs) -> None:
    sub = verb(
        verbs, cancel, "cancel", "cancel jobs of this folder's sweeps on Slurm",
        "Runs save, leave, and go on from there when the sweep is started again.\n\n"
        "  reverie cancel ppo/pong/0     one run\n"
        "  reverie cancel --all          everything that is queued or running",
    )  # fmt: skip
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("runs", nargs="*", default=[], metavar="RUN", help="agent/game/seed")
    which.add_argument("--all", action="store_true", help="all of them")
    _folder(sub)


def cancel(args: argparse.Namespace) -> None:
    """Cancels jobs."""
    from launch import handed

    found = handed.cancel(args.runs, args.folder, _say)
    print("\n".join(found) or "nothing is queued or running")


def _folder(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--folder", type=Path, default=FOLDER, metavar="DIR",
        help=f"of the executor, as --submitit-folder says (default {FOLDER})",
    )  # fmt: skip


def _say(text: str) -> None:
    print(f"reverie: {text}", file=sys.stderr, flush=True)


def _doctor(verbs: Verbs) -> None:
    sub = verb(
        verbs, doctor, "doctor", "say what would go wrong with a sweep on this machine's cluster",
        "A line for each finding: mark, fact, -> what to do. Exit code 1 if anything FAILs.\n"
        "A job of five minutes, cancelled after two or less, is handed over as a sweep's are; it\n"
        "shows whether warnings, requeue, files and locks work. docs/slurm.md has more.\n\n"
        "  reverie doctor\n"
        "  reverie doctor --partition gpu --account lab --wait 1800\n"
        "  reverie doctor --no-job",
    )  # fmt: skip
    for name in ("partition", "account", "qos"):
        sub.add_argument(f"--{name}", help=f"{name} to ask for, instead of the profile's")
    sub.add_argument(
        "--no-srun", action="store_const", const=True, help="as with --submitit-no-srun"
    )
    sub.add_argument("--no-job", action="store_true", help="only what can be known without a job")
    sub.add_argument(
        "--wait", type=positive, default=120, metavar="SECONDS",
        help="for the start of the job (default 120)",
    )  # fmt: skip


def doctor(args: argparse.Namespace) -> int:
    """Examines machine and cluster."""
    from launch.doctor import checkup

    said = {name: getattr(args, name) for name in ("partition", "account", "qos", "no_srun")}
    return checkup.main(checkup.Wish(said, not args.no_job, args.wait), Path.cwd())
