"""The texts of `reverie references`: methods, scores and the comparison with printed aggregates."""

import textwrap
from collections.abc import Callable, Iterable, Sequence

from analysis.grids import Grid, render, span
from analysis.references import printed, tables
from analysis.references.tables import Method, Protocol, Published

WIDTH = 100  # Of running text, in characters.


def main(suite: str | None, method: str | None, checks: bool, form: str) -> str:
    """Returns what was asked for: methods, one method's scores, or the aggregates as printed.

    Args:
        suite: one of `tables.SUITES`; None for all.
        method: name or title; its scores with alternatives.
        checks: printed aggregates beside ours instead.
        form: one of grids.FORMS; csv and latex are the bare table.

    Raises:
        ValueError: there is no such suite or method; the message names the nearest.
    """
    chosen = tables.SUITES if suite is None else (suite,)
    if method is not None:
        assert suite is not None
        return _one(suite, method, checks, form)
    if checks:
        return _shown(comparison(chosen), form, _about_checks)
    return _shown(listing(chosen), form, lambda grid: ABOUT)


ABOUT = """Where sources disagree about a score, one is the default and the others are flagged.

  scores of one method, with flags:   reverie references atari100k dreamerv3
  aggregates as papers print them:    reverie references atari100k --check
"""


def listing(suites: Iterable[str]) -> Grid:
    """Returns every method with its games, seeds, window, protocol and source."""
    head = ["suite", "method", "games", "seeds", "window", "protocol", "flags", "source"]
    return [head, *(_method(each) for suite in suites for each in tables.methods(suite))]


def scores(of: Method) -> Grid:
    """Returns the scores of a method, an alternative below the default that it contradicts."""
    head = ["game", "score", "spread", "seeds", "use", "flags", "other source"]
    return [head, *(_score(of, each) for each in _all(of))]


def records(of: Method) -> Grid:
    """Returns the scores of a method with everything that is known of each, for other programs."""
    head = ["suite", "method", "game", "score", "spread", "seeds", "use", "window", "window_words"]
    return [
        [*head, "sticky", "actions", "episodes", "scales", "flags", "source"],
        *map(_record, _all(of)),
    ]


def flags() -> Grid:
    """Returns every flag and what it says."""
    return [["flag", "what"], *map(list, tables.reasons().items())]


def comparison(suites: Iterable[str], name: str | None = None) -> Grid:
    """Returns printed aggregates beside ours, of all methods or of one."""
    head = ["suite", "method", "metric", "printed", "ours", "difference", "verdict", "human table"]
    return [
        [*head, "note", "source"],
        *(
            _check(each)
            for suite in suites
            for each in printed.check(suite)
            if name in (None, each.method)
        ),
    ]


def _one(suite: str, name: str, checks: bool, form: str) -> str:
    of = tables.method(suite, name)
    if checks:
        return _shown(comparison([suite], of.name), form, _about_checks)
    if form == "csv":
        return render(records(of), form)
    if form == "latex":
        return render(scores(of), form)
    return f"{of.title}, {suite}\n\n{render(scores(of), form)}\n{_about(of)}"


def _shown(grid: Grid, form: str, about: Callable[[Grid], str]) -> str:
    text = render(grid, form)
    return text if form in ("csv", "latex") else f"{text}\n{about(grid)}"


def _method(of: Method) -> list[str]:
    held = tables.published(of.suite, of.name)
    games = str(len(held)) if len(held) == of.games else f"{len(held)} of {of.games}"
    seeds = span([each.seeds for each in held if each.seeds])
    said = protocol(of.protocol)
    window = of.window or of.window_words
    return [of.suite, of.name, games, seeds, window, said, ", ".join(of.flags), of.source]


def protocol(of: Protocol) -> str:
    """Returns what is stated of a protocol, comma between; empty where nothing is."""
    said = [
        "" if of.sticky is None else f"sticky {of.sticky:g}",
        "" if of.actions is None else f"{of.actions} actions",
        "" if of.episodes is None else f"{of.episodes} episodes",
    ]
    return ", ".join(filter(None, said))


def _all(of: Method) -> list[Published]:
    return tables.published(of.suite, of.name, alternatives=True)


def _score(of: Method, one: Published) -> list[str]:
    return [
        one.game,
        f"{one.score:.10g}",
        "" if one.spread is None else f"{one.spread:.6g}",
        _plain(one.seeds),
        "default" if one.default else "alternative",
        ", ".join(one.flags),
        "" if one.source == of.source else one.source,
    ]


def _record(one: Published) -> list[str]:
    held, use = one.protocol, "default" if one.default else "alternative"
    said = [one.score, one.spread, one.seeds, use, one.window, one.window_words]
    said += [held.sticky, held.actions, held.episodes, held.scales, " ".join(one.flags)]
    return [one.suite, one.method, one.game, *map(_plain, said), one.source]


def _plain(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.10g}"


def _about(of: Method) -> str:
    facts = [
        ("source", of.source),
        ("window", " = ".join(filter(None, [of.window or "", of.window_words])) or "not stated"),
        ("protocol", protocol(of.protocol) or "not stated"),
        ("human table", of.protocol.scales or "not stated"),
        ("notes", of.protocol.words),
        *_flags(_all(of)),
    ]
    width = max(len(key) for key, _ in facts)
    lines = [f"  {key.ljust(width)}  {text}" for key, text in facts if text]
    indent = " " * (width + 4)
    return "".join(f"{textwrap.fill(line, WIDTH, subsequent_indent=indent)}\n" for line in lines)


def _flags(held: Sequence[Published]) -> list[tuple[str, str]]:
    used = dict.fromkeys(flag for each in held for flag in each.flags)
    return [(flag, tables.reasons()[flag]) for flag in sorted(used)]


def _check(of: printed.Check) -> list[str]:
    count = of.metric == "superhuman"
    digits = 0 if count else max(of.digits, 2) + 1
    agrees = "same" if of.agrees else "differs"
    return [
        of.suite,
        of.method,
        of.metric,
        f"{of.printed:.{of.digits}f}",
        f"{of.ours:.{digits}f}",
        f"{of.difference:+.{digits}f}",
        agrees if of.comparable else "not comparable",
        of.scales,
        of.note,
        of.source,
    ]


def _about_checks(grid: Grid) -> str:
    verdicts = [row[6] for row in grid[1:]]
    if not verdicts:
        return "No aggregate of it is known here as printed.\n"
    return f"""{verdicts.count("same")} of {len(verdicts)} are the same to the last printed digit, \
{verdicts.count("differs")} differ, {verdicts.count("not comparable")} are
not comparable: papers take the IQM over all runs, which per-game means do not have.
"""
