"""The report's first section: the verdicts that `reverie compare` kept beside it.

A verdict is of the scores that were there when it was made. Where the report's own scores say
something else now, that is said beside it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import aggregates, brought, figures, files, page, sections, tables
from analysis.by_game import marked
from analysis.evidence import Evidence
from analysis.page import Markup
from analysis.verdict_file import BOTH

ENDS = ("estimate", "low", "high")
CLASSES = {"reproduced": "good", "better": "good", "not reproduced": "bad", "inconclusive": "open"}


@dataclass(frozen=True)
class Kept:
    """One kept verdict."""

    path: Path
    told: dict[str, Any]  # As of verdict_file.record.
    ours: str  # Label in the report's tables.
    old: list[str]  # Games whose score is another one now.


def read(found: Evidence, results: Path) -> tuple[list[Kept], list[str]]:
    """Returns the verdicts of a suite, and what is wrong with the files that are none."""
    kept, wrong = [], []
    for path in sorted((results / found.suite.name / "verdicts").glob("*.json")):
        try:
            told = files.read_json(path)
            name, imported = str(told["ours"]), told["sources"]["ours"].startswith("imported as")
            label = brought.label(name) if imported else name
            kept.append(Kept(path, told, label, _old(found, told, label)))
            _card(kept[-1])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            kept = [each for each in kept if each.path != path]
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            wrong.append(f"{path.name} is no verdict that can be read: {reason}")
    return kept, wrong


def _old(found: Evidence, told: dict[str, Any], label: str) -> list[str]:
    rows = found.games[found.games["agent"] == label]
    now = {row.game: row for row in rows.itertuples() if row.window == told["window"]["ours"]}
    return [
        row["game"]
        for row in told["by_game"]
        if row["game"] in now
        and not math.isclose(now[row["game"]].score, row["ours"], rel_tol=1e-6, abs_tol=1e-6)
    ]


def section(kept: list[Kept], wrong: list[str]) -> Markup:
    """Returns the section, with how to get a verdict where there is none."""
    notes = [page.element("p", text, cls="note bad") for text in wrong]
    if not kept:
        verb = page.element("code", "reverie compare")
        rest = " says whether a published result was reproduced, and is shown here."
        text = page.element("p", "None yet. ", verb, rest)
        return page.section("verdicts", "Verdicts", text, *notes)
    cards = [_card(each) for each in kept]
    return page.section("verdicts", "Verdicts", page.element("div", *cards, cls="cards"), *notes)


def _card(one: Kept) -> Markup:
    told = one.told
    word = told["verdict"]
    needs = f"; {told['remedy']}" if word == "inconclusive" and told["remedy"] else ""
    unlike = [each["name"] for each in told["allowed"]]
    count, of = len(told["games"]), len(told["games"]) + len(told["lacking"])
    part = f" on {figures.counted(count, 'game')} of {of}" if count < of else ""
    old = figures.counted(len(one.old), "game")
    return page.element(
        "article",
        page.element("p", page.element("strong", word, cls="word"), cls="said"),
        page.element("h3", f"{one.ours} against {told['opponent']}{part}"),
        page.element("p", f"Difference of IQMs: {told['reason']}{needs}."),
        page.element("p", f"Unlike, and allowed: {', '.join(unlike)}.", cls="note bad")
        if unlike else "",
        page.element("p", f"Made of other scores than this report's: {old} changed since. Run ",
                     page.element("code", "reverie compare"), " again.", cls="note bad")
        if one.old else "",
        _aggregates(told),
        page.details("Terms, sources, notes", _terms(told)),
        page.details(f"{figures.counted(len(told['by_game']), 'game')} one by one", _games(told)),
        cls=f"verdict {CLASSES[word]}",
    )  # fmt: skip


def _aggregates(told: dict[str, Any]) -> Markup:
    rows = []
    for metric, each in told["metrics"].items():
        found = [each[side] for side in (*BOTH, "difference")]
        decimals = tables.places(one["estimate"] for one in found)
        cells = [sections.ranged(*(one[k] for k in ENDS), decimals) for one in found]
        rows.append([aggregates.METRICS[metric], *cells])
    return page.table(["", "Ours", "Theirs", "Difference"], rows)


def _terms(told: dict[str, Any]) -> Markup:
    window = told["window"]
    facts: list[tuple[str, object]] = [
        ("Margin", f"{told['margin']:g} of human-normalised score"),
        ("Our window", window["ours"]),
        ("Their window", window["theirs"] or "not stated"),
        ("Human table", told["human"]),
        ("Ours", told["sources"]["ours"]),
        ("Theirs", told["sources"]["theirs"]),
        ("Protocols", ", ".join(f"{side} {told['protocol'][side]['hash'][:10]}" for side in BOTH)),
        ("Seed of the bootstrap", str(told["seed"])),
    ]
    if told["allowed"]:
        unlike = [f"{e['name']}: ours {e['ours']}, theirs {e['theirs']}" for e in told["allowed"]]
        facts.append(("Allowed to differ", "; ".join(unlike)))
    if told["not_stated"]:
        facts.append(("Not stated by both", ", ".join(told["not_stated"])))
    notes = [page.element("li", note) for note in told["notes"]]
    return Markup(page.facts(facts) + (page.element("ul", *notes, cls="note") if notes else ""))


def _games(told: dict[str, Any]) -> Markup:
    head = ["Game", "Ours", "Theirs", "Difference", "In standard errors", "p (Holm)"]
    return page.table(head, [[_linked(row["game"]), *cells(row)] for row in told["by_game"]])


def _linked(game: str) -> Markup:
    return page.element("a", figures.title(game), href=f"#game-{game}")


def cells(row: dict[str, Any]) -> list[object]:
    """Returns one game's cells: ours, theirs, difference, standardised, p."""
    low, ours, theirs = row["low"], row["ours"], row["published"]
    ends = "one seed" if low is None else (
        f"[{tables.number(low, ours)}, {tables.number(row['high'], ours)}]"
    )  # fmt: skip
    spread = "" if row["spread"] is None else f"± {tables.number(row['spread'], theirs)}"
    behind = f"{row['published_seeds']} seeds" if row["published_seeds"] else "seeds not stated"
    p, z = row["p"], row["standardised"]
    return [
        _stack(tables.number(ours), ends, f"{row['seeds']} seeds"),
        _stack(tables.number(theirs), spread, behind),
        tables.normalised(row["difference"]),
        "–" if z is None else f"{z:+.1f}".replace("-", "−"),
        "–" if p is None else marked(p),
    ]


def _stack(first: str, *more: str) -> Markup:
    return Markup(first + "".join(page.element("span", each, cls="range") for each in more if each))


def of_game(kept: list[Kept], game: str) -> list[list[object]]:
    """Returns a row for each verdict that has this game: who against whom, and its cells."""
    return [
        [f"{one.ours} against {one.told['opponent']}", *cells(row)]
        for one in kept
        for row in one.told["by_game"]
        if row["game"] == game
    ]
