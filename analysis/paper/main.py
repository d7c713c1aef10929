"""`reverie figure` and `reverie table`: files for a paper."""

from pathlib import Path

from analysis import canvas, files, palette
from analysis.paper import kinds, material, origin, tabular, typeset
from analysis.paper.drawn import Kind
from analysis.paper.material import Wish
from suites.records import nearest
from suites.suite import Suite


def figure(
    kind: str, suite: Suite, wish: Wish, results: Path, runs: Path, stem: Path | None
) -> list[Path]:
    """Draws a figure.

    Args:
        kind: One of `kinds.KINDS`.
        suite: Where the contenders have scores.
        wish: Who, which games, which window.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        stem: Of the files; None for results/SUITE/paper/KIND.

    Returns:
        The PDF, PNG, JSON and LaTeX files.

    Raises:
        ValueError: There is no such kind, a name is nobody's, or there is nothing to draw.
    """
    _refuse(kind, wish)
    of = material.load(suite, wish, results, runs)
    place = stem or results / suite.name / "paper" / kind
    with canvas.theme(), palette.apart([*of.names, *([of.published.name] if of.published else [])]):
        drawn = kinds.KINDS[kind].draw(of)
        told = origin.record(kind, of, drawn.games, drawn.caption, drawn.numbers)
        wide = drawn.figure.get_figwidth() > canvas.COLUMN
        png, pdf = canvas.save(drawn.figure, place, origin.line(told))
    tex = place.with_name(f"{place.name}.tex")
    files.write(tex, typeset.figure(place.name, drawn.caption, wide))
    return [pdf, png, origin.write(told, place), tex]


def table(
    kind: str, suite: Suite, wish: Wish, results: Path, runs: Path, stem: Path | None
) -> list[Path]:
    """Writes a table.

    Args:
        kind: One of `tabular.KINDS`.
        suite: Where the contenders have scores.
        wish: Who, which games, which window.
        results: Folder of all suites' results.
        runs: Folder of all run folders.
        stem: Of the files; None for results/SUITE/paper/KIND.

    Returns:
        The LaTeX, Markdown, CSV and JSON files.

    Raises:
        ValueError: There is no such kind, a name is nobody's, or there is no score.
    """
    if kind not in tabular.KINDS:
        known = ", ".join(tabular.KINDS)
        raise ValueError(f"saw kind {kind!r}; allowed are {known}{nearest(kind, tabular.KINDS)}")
    if kind in kinds.KINDS:  # A figure too, and made of the same.
        _refuse(kind, wish)
    of = material.load(suite, wish, results, runs)
    place = stem or results / suite.name / "paper" / kind
    made = tabular.KINDS[kind](of)
    told = origin.record(kind, of, made.games, made.typeset.caption.format(within="underlined"), {})
    paths = [place.with_name(f"{place.name}.{form}") for form in ("tex", "md", "csv")]
    files.write(paths[0], typeset.latex(made.typeset, place.name))
    files.write(paths[1], typeset.markdown(made.typeset))
    files.write_table(paths[2], made.frame)
    return [*paths, origin.write(told, place)]


def _refuse(name: str, wish: Wish) -> None:
    """Refuses what a kind of figure, or the table of that name, cannot do.

    Raises:
        ValueError: There is no such kind, too few contenders, or it draws no published scores.
    """
    if name not in kinds.KINDS:
        known = ", ".join(kinds.KINDS)
        raise ValueError(f"saw kind {name!r}; allowed are {known}{nearest(name, kinds.KINDS)}")
    kind: Kind = kinds.KINDS[name]
    if len(set(wish.agents)) < kind.least:
        raise ValueError(
            f"--agents: saw {', '.join(wish.agents) or 'none'}; {name} takes at least {kind.least}"
        )
    if wish.published is not None and not kind.published:
        able = ", ".join(each for each, of in kinds.KINDS.items() if of.published)
        raise ValueError(f"--published: {name} needs runs; those that draw tables are {able}")
