"""The verbs of `reverie` about published results and ours beside them."""

import argparse
import sys
from pathlib import Path

from launch.parser import Verbs, labels, natural, positive, results, tell, verb


def add(verbs: Verbs) -> None:
    """Adds them all."""
    for one in (_references, _aggregate, _compare):
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
    _format(sub)


def references(args: argparse.Namespace) -> None:
    """Lists published scores."""
    from analysis.references import text

    print(text.main(args.suite, args.method, args.check, args.format), end="")


def _aggregate(verbs: Verbs) -> None:
    sub = verb(
        verbs, aggregate, "aggregate", "print human-normalised aggregates with their intervals",
        "Of our own agents and of imports, on the games that all of them have. Estimates are\n"
        "fractions of the human score. Imports are scored in the window that they were\n"
        "published with, our runs in the suite's, unless --window says otherwise.\n\n"
        "  reverie aggregate --suite atari100k --agents dreamerv3,dreamerv3_official\n"
        "  reverie aggregate --suite atari100k --agents ppo --window last_10_episodes --format md",
    )  # fmt: skip
    sub.add_argument("--suite", required=True, help="name of a suite")
    sub.add_argument(
        "--agents", type=labels, required=True, help="labels or imports, comma between"
    )
    results(sub)
    sub.add_argument("--window", metavar="W", help="one score window for all")
    sub.add_argument(
        "--human", default="standard", metavar="TABLE",
        help="random and human scores (default standard; docs/references.md has the others)",
    )  # fmt: skip
    sub.add_argument(
        "--engine", choices=("bootstrap", "rliable"), default="bootstrap",
        help="rliable is the reference, and takes 25 times as long",
    )  # fmt: skip
    sub.add_argument("--resamples", type=positive, default=50_000, help="default 50000")
    sub.add_argument("--seed", type=natural, default=0, help="of the resamples (default 0)")
    _format(sub)


def aggregate(args: argparse.Namespace) -> None:
    """Prints aggregates."""
    import suites
    from analysis import summaries

    wish = summaries.Wish(
        window=args.window, human=args.human, engine=args.engine, resamples=args.resamples,
        seed=args.seed,
    )  # fmt: skip
    runs = args.folder.parent / "runs"
    text, notes = summaries.main(
        suites.load(args.suite), args.agents, args.folder, runs, wish, args.format
    )
    print(text, end="", flush=True)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _compare(verbs: Verbs) -> None:
    sub = verb(
        verbs, compare, "compare", "say whether a published result was reproduced",
        "Ours against a published method, an import, or another commit of ours: aggregates, every\n"
        "game, and one word with its reason. Unlike protocols are refused. Exit codes:\n"
        "0 reproduced or better, 1 not reproduced, 2 refused, 3 inconclusive or no run yet.\n\n"
        "  reverie compare --ours atari100k --agent dreamerv3 --published dreamerv3\n"
        "  reverie compare --ours boxing --agent dreamerv3 --published dreamerv3@atari100k \\\n"
        "      --allow frames,window,episodes\n"
        "  reverie compare --ours atari100k --agent ppo --against ../before/results\n"
        "  reverie compare --ours atari100k --published dreamerv3 --plan      before any run",
    )  # fmt: skip
    sub.add_argument("--ours", required=True, metavar="SUITE", help="where our scores are")
    sub.add_argument("--agent", metavar="A", help="which of ours: a label, or an import")
    other = sub.add_mutually_exclusive_group(required=True)
    other.add_argument(
        "--published", metavar="METHOD", help="an import, a published method, or METHOD@SUITE"
    )
    other.add_argument(
        "--against", type=Path, metavar="DIR", help="results of another commit, same agent"
    )
    results(sub)
    sub.add_argument("--window", metavar="W", help="of both (default: the published one)")
    sub.add_argument(
        "--allow", type=labels, default=[], metavar="FIELD,...",
        help="differences of protocol that are taken, and recorded",
    )  # fmt: skip
    sub.add_argument(
        "--margin", type=float, default=0.10,
        help="difference that does not matter, human-normalised (default 0.10)",
    )  # fmt: skip
    sub.add_argument("--human", default="standard", metavar="TABLE", help="default standard")
    sub.add_argument("--seed", type=natural, default=0, help="of the bootstrap (default 0)")
    sub.add_argument(
        "--plan", action="store_true",
        help="also, or before any run: how many seeds a margin needs",
    )  # fmt: skip
    _format(sub)


def compare(args: argparse.Namespace) -> int:
    """Compares."""
    import suites
    from analysis import comparison, pairing, planning, verdict_file, verdict_text

    wish = pairing.Wish(
        agent=args.agent, published=args.published, against=args.against, window=args.window,
        allow=tuple(args.allow), human=args.human, margin=args.margin, seed=args.seed,
    )  # fmt: skip
    place = pairing.Place(suites.load(args.ours), args.folder, args.folder.parent / "runs")
    if args.plan and (name := pairing.unbegun(place, wish)) is not None:
        tell(planning.alone(place, wish, name).text(args.format))
        return 3  # Nothing was reproduced yet.
    found = comparison.main(place, wish)
    kept = verdict_file.keep(found, args.folder)  # First: a code that says 1 must be a verdict.
    tell(verdict_text.text(found, args.format))
    if args.plan:
        # Not among the lines of a table that another program reads.
        bare = args.format in ("csv", "latex")
        form = "table" if bare else args.format
        tell(f"\n{planning.of(found).text(form)}", sys.stderr if bare else sys.stdout)
    print(f"reverie compare: kept as {kept}", file=sys.stderr)
    return found.code


def _format(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--format", choices=("table", "csv", "md", "latex"), default="table", help="default table"
    )
