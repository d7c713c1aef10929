"""The verb `reverie import`: results of others, and of other machines, beside our runs."""

import argparse
import time
from pathlib import Path

from launch.parser import Verbs, positive, verb

FORMATS = ("official", "csv", "cleanrl", "tensorboard", "mlflow")
KINDS = ("episodes", "bins", "evaluation")
MAX_MIB = 256


def add(verbs: Verbs) -> None:
    """Adds the verb."""
    sub = verb(
        verbs, bring, "import", "bring in scores of others, for figures, tables and verdicts",
        "What a source is, is seen from what is in it. docs/imports.md shows every format.\n\n"
        "  reverie import atari100k-dreamerv3.json.gz --suite atari100k --as dreamerv3_2024\n"
        "  reverie import scores.csv --suite atari57 --as theirs --method rainbow\n"
        "  reverie import cleanrl/runs --suite atari57 --as cleanrl_ppo --frames-per-step 4\n"
        "  reverie import mlflow:http://login01:5000/demo --suite demo --as far --method ppo\n\n"
        "It is kept in DIR/SUITE/imports/NAME: whole, or not at all.",
    )  # fmt: skip
    sub.add_argument("file", metavar="FILE", help="a file, a folder, or mlflow:ADDRESS/EXPERIMENT")
    sub.add_argument("--suite", required=True, help="whose games and budget it has")
    sub.add_argument("--as", required=True, dest="called", metavar="NAME", help="its name from now")
    sub.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="default results"
    )
    sub.add_argument("--format", choices=FORMATS, help="instead of the one that is seen")
    sub.add_argument("--method", metavar="M", help="of a source that has several")
    sub.add_argument("--kind", choices=KINDS, help="what a point is, where that is seen wrongly")
    sub.add_argument(
        "--frames-per-step", type=positive, metavar="N",
        help="frames of a step of the source (default: 4 of CleanRL's, 1 of all others)",
    )  # fmt: skip
    sub.add_argument(
        "--skip-unknown", action="store_true", help="leave out games that the suite does not have"
    )
    sub.add_argument("--force", action="store_true", help="replace an import of that name")
    sub.add_argument(
        "--max-mib", type=positive, default=MAX_MIB, metavar="N",
        help=f"largest file that is read, decompressed; a line is a sixteenth (default {MAX_MIB})",
    )  # fmt: skip


def bring(args: argparse.Namespace) -> None:
    """Imports.

    Raises:
        ValueError: It cannot be read, does not fit, or cannot be written.
    """
    import suites
    from analysis.imported import main
    from launch import provenance, tracking

    wish = main.Wish(
        format=args.format, method=args.method, kind=args.kind,
        frames_per_step=args.frames_per_step, skip_unknown=args.skip_unknown, force=args.force,
        max_mib=args.max_mib,
    )  # fmt: skip
    commit = provenance.commit(Path(__file__))["commit"]
    address = tracking.address(Path.cwd())
    suite = suites.load(args.suite)
    try:
        said = main.run(args.file, suite, args.called, args.out, wish, time.time(), commit, address)
    except OSError as error:  # Not to be opened, a full disk, a folder that is a file.
        raise ValueError(f"{error.filename or args.out}: {error.strerror}") from error
    print(said)
