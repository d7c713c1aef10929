"""The verbs `reverie figure` and `reverie table`: files for a paper."""

import argparse
from pathlib import Path

from launch.parser import Verbs, labels, natural, positive, results, verb

FIGURES = {
    "curves": "learning curves, a panel for each game",
    "grid": "the same, of all games on a page",
    "intervals": "median, mean, IQM and optimality gap with intervals",
    "profiles": "fraction of runs above each human-normalised score",
    "efficiency": "IQM against frames, and the area below",
    "improvement": "probability that one agent is better than another",
    "differences": "human-normalised difference of two, game by game",
    "ladder": "what each agent adds to the one named before it",
}
TABLES = {
    "games": "scores of every game, best marked",
    "aggregates": "human-normalised aggregates with intervals, best marked",
    "improvement": "probability that one agent is better than another",
    "efficiency": "area below the IQM against frames",
}


def add(verbs: Verbs) -> None:
    """Adds them."""
    sub = verb(
        verbs, figure, "figure", "draw a figure for a paper, as PDF and PNG",
        f"{_listed(FIGURES)}\n"
        "Written are STEM.pdf, STEM.png, STEM.json (runs, windows, commits behind it), STEM.tex\n"
        "(the figure with its caption, for \\input). docs/figures.md shows each kind.\n\n"
        "  reverie figure curves --suite seaquest --agents ppo,dreamer_ppo\n"
        "  reverie figure grid --suite atari100k --agents dreamerv3 --published dreamerv3\n"
        "  reverie figure ladder --suite seaquest \\\n"
        "      --agents dreamer_ppo+ppo,dreamer_ppo+aux,dreamer_ppo,dreamer_ppo+seed",
    )  # fmt: skip
    sub.add_argument("kind", metavar="KIND", choices=FIGURES, help="one of the list below")
    _who(sub)
    sub.add_argument(
        "--bare", action="store_true", help="without the words below, where the paper says them"
    )
    sub = verb(
        verbs, table, "table", "write a table for a paper, as LaTeX, Markdown and CSV",
        f"{_listed(TABLES)}\n"
        "Written are STEM.tex (booktabs), STEM.md, STEM.csv (all digits) and STEM.json (runs,\n"
        "windows, commits behind it).\n\n"
        "  reverie table games --suite atari100k --agents ppo,dreamerv3 --published dreamerv3\n"
        "  reverie table aggregates --suite atari100k --agents ppo,dreamerv3\n"
        "  reverie table improvement --suite atari100k --agents ppo,dreamerv3",
    )  # fmt: skip
    sub.add_argument("kind", metavar="KIND", choices=TABLES, help="one of the list below")
    _who(sub)


def _listed(kinds: dict[str, str]) -> str:
    return "".join(f"  {name:<12} {words}\n" for name, words in kinds.items())


def _who(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--suite", required=True, help="name of a suite")
    sub.add_argument(
        "--agents", type=labels, required=True, help="labels or imports, comma between, in order"
    )
    sub.add_argument("--games", type=labels, default=[], help="some of the suite's (default: all)")
    results(sub)
    sub.add_argument("--window", metavar="W", help="one score window for all")
    sub.add_argument(
        "--published", metavar="METHOD", help="published scores too: METHOD, or METHOD@SUITE"
    )
    sub.add_argument(
        "--out", type=Path, metavar="STEM", help="of the files (default DIR/SUITE/paper/KIND)"
    )
    sub.add_argument("--human", default="standard", metavar="TABLE", help="default standard")
    sub.add_argument("--resamples", type=positive, default=50_000, help="default 50000")
    sub.add_argument("--seed", type=natural, default=0, help="of the resamples (default 0)")
    sub.set_defaults(bare=False)


def figure(args: argparse.Namespace) -> None:
    """Draws a figure."""
    _write(args, "figure")


def table(args: argparse.Namespace) -> None:
    """Writes a table."""
    _write(args, "table")


def _write(args: argparse.Namespace, what: str) -> None:
    import suites
    from analysis.paper import main
    from analysis.paper.material import Wish

    wish = Wish(
        agents=tuple(args.agents), games=tuple(args.games), window=args.window,
        published=args.published, human=args.human, resamples=args.resamples, seed=args.seed,
        bare=args.bare,
    )  # fmt: skip
    make = main.figure if what == "figure" else main.table
    runs = args.folder.parent / "runs"
    suite = suites.load(args.suite)
    try:
        paths = make(args.kind, suite, wish, args.folder, runs, args.out)
    except OSError as error:  # A full disk, a folder that is a file.
        raise ValueError(f"{error.filename or args.out}: {error.strerror}") from error
    for path in paths:
        print(path)
