"""The verbs of `reverie` about published results."""

import argparse

from launch.parser import Verbs, verb


def add(verbs: Verbs) -> None:
    """Adds them all."""
    for one in (_references,):
        one(verbs)


def _references(verbs: Verbs) -> None:
    sub = verb(
        verbs, references, "references", "list published scores with their source, or one method's",
        "Per-game scores of papers and released files, to compare with: spread, seeds, window,\n"
        "protocol. What is doubtful or in conflict is flagged; docs/references.md says more.\n\n"
        "  reverie references\n"
        "  reverie references atari100k dreamerv3\n"
        "  reverie references atari57 dreamerv2 --format csv\n"
        "  reverie references atari100k --check",
    )  # fmt: skip
    sub.add_argument("suite", nargs="?", help="atari100k or atari57 (default: both)")
    sub.add_argument("method", nargs="?", help="name of a method: its score in every game")
    sub.add_argument(
        "--check", action="store_true",
        help="aggregates as papers print them, beside those that the games give",
    )  # fmt: skip
    sub.add_argument(
        "--format", choices=("table", "csv", "md"), default="table", help="default table"
    )


def references(args: argparse.Namespace) -> None:
    """Lists published scores."""
    from analysis.references import text

    print(text.main(args.suite, args.method, args.check, args.format), end="")
