"""A parser of command lines that answers an unknown word with the nearest one that exists."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

Verbs = argparse._SubParsersAction


class Parser(argparse.ArgumentParser):
    """Answers an unknown verb or option with the nearest one that exists."""

    words: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Prints one message and leaves with code 2."""
        import re

        seen = re.search(r"(?:unrecognized arguments:|invalid choice:) '?([^\s'=]+)", message)
        if seen:
            message += self._nearest(seen[1])
        elif "required" in message:  # Perhaps because its name is misspelt.
            message += "".join(map(self._unknown, self.words))
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")

    def _nearest(self, word: str) -> str:
        from suites.records import nearest

        choices = [choice for action in self._actions for choice in action.choices or ()]
        return nearest(word, [*self._option_string_actions, *map(str, choices)])

    def _unknown(self, word: str) -> str:
        name = word.partition("=")[0]
        if name == "--set":
            return "; --set takes every word up to the next option"
        known = any(option.startswith(name) for option in self._option_string_actions)
        if known or not name.startswith("--"):
            return ""
        return f"; {name} is unknown" + self._nearest(name)

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Remembers the words for a message about them."""
        self.words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Refuses unknown options in the words of the verb that got them."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            verb = getattr(found, "parser", self)
            verb.error(f"unrecognized arguments: {' '.join(rest)}")
        return found


def verb(
    verbs: Verbs, function: Callable[..., int | None], name: str, help: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Adds a verb and returns its parser, whose `verb` is the function."""
    sub = verbs.add_parser(
        name, help=help.replace("%", "%%"), description=help[0].upper() + help[1:] + ".",
        epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sub.set_defaults(verb=function, parser=sub)
    return sub


def natural(text: str) -> int:
    """Reads a whole number from 0, for argparse."""
    value = int(text.replace("_", ""))
    if value < 0:
        raise ValueError
    return value


def positive(text: str) -> int:
    """Reads a whole number from 1, for argparse."""
    if (value := natural(text)) == 0:
        raise ValueError
    return value


def results(sub: argparse.ArgumentParser) -> None:
    """Adds where results are read from."""
    sub.add_argument(
        "--from", dest="folder", type=Path, default=Path("results"), metavar="DIR",
        help="where results and imports are, beside runs/ (default results)",
    )  # fmt: skip


def tell(text: str, file: TextIO | None = None) -> None:
    """Prints text at once, to nobody if its reader has gone: the exit code says more than 0.

    Args:
        text: Whole lines.
        file: None for the standard output.
    """
    try:
        print(text, end="", file=file, flush=True)
    except BrokenPipeError:
        hush()


def hush() -> None:
    """Has whatever is still printed go nowhere: `reverie compare ... | head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def labels(text: str) -> list[str]:
    """Reads agents with their blocks, for argparse."""
    return [word.strip() for word in text.split(",") if word.strip()]


natural.__name__, positive.__name__ = "whole number from 0", "whole number from 1"
