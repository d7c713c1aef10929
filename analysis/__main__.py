"""One step of the analysis from the command line: `python -m analysis collect demo RECEIPTS`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import suites


def main(words: Sequence[str]) -> int:
    """Runs one step and names the files that it made; returns an exit code."""
    asked = _parser().parse_args(words)
    try:
        suite = suites.load(asked.suite)
        print(*_step(asked, suite), sep="\n")
    except ValueError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


def _step(asked: argparse.Namespace, suite: suites.Suite) -> list[Path]:
    from analysis import pipeline, report

    match asked.step:
        case "collect":
            return pipeline.collect(suite, asked.receipts, asked.results, asked.runs, time.time())
        case "aggregate":
            return pipeline.aggregate(suite, asked.results)
        case "figures":
            return pipeline.figures(suite, asked.results)
        case _:
            return [report.write(suite, asked.results, asked.runs)]


def _parser() -> argparse.ArgumentParser:
    # '@list.txt' stands for a file of words, one a line: a sweep has thousands of receipts.
    parser = argparse.ArgumentParser("python -m analysis", fromfile_prefix_chars="@")
    steps = parser.add_subparsers(dest="step", required=True)
    for step, does in {
        "collect": "receipts and run folders -> scores, coverage, curves (CSV)",
        "aggregate": "scores -> aggregates, profiles, per-game table (CSV)",
        "figures": "tables -> figures (PNG, PDF)",
        "report": "tables -> report.html",
    }.items():
        sub = steps.add_parser(step, help=does, description=does, fromfile_prefix_chars="@")
        sub.add_argument("suite", help="name of a suite, or path of its YAML file")
        sub.add_argument("--results", type=Path, default=Path("results"))
        sub.add_argument("--runs", type=Path, default=Path("runs"))
        if step == "collect":
            sub.add_argument("receipts", type=Path, nargs="+", help="or @FILE that lists them")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
