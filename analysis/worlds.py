"""The report's section on world models: the newest video and picture of one seed each.

Files of a few hundred kilobytes are put into the page, so that it stays one file; larger ones, and
those for which there is no room any more, are linked to.
"""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from analysis import cells, figures, page, sections
from analysis.cells import Cell
from analysis.evidence import Evidence
from analysis.page import Markup

ANCHOR, HEADING = "worlds", "What the models imagine"
EACH, TOTAL = 600_000, 12_000_000  # bytes of files that are put into the page
NAME = re.compile(r"(\d{12})-(open_loop\.mp4|reconstruction\.png)")
KINDS = {"open_loop.mp4": "video/mp4", "reconstruction.png": "image/png"}
SHOWN = ("finished", "empty", "running", "stopped", "killed", "failed")
WORDS = (
    "Above: what happened. Middle: what the model made of it; it was shown the first images (blue) "
    "and imagined the others from the actions alone (orange). Below: the difference, gray is none. "
    "Each is the newest of its run, of the first seed that has one."
)


@dataclass(frozen=True)
class Media:
    """The newest files of one run."""

    cell: Cell
    files: dict[str, tuple[int, Path]]  # By kind: frame and path.


def found(evidence: Evidence, runs: Path) -> list[Media]:
    """Returns the media of the first seed that has some, for each game and agent."""
    rows = evidence.coverage.itertuples()
    status = {(row.agent, row.game, row.seed): row.status for row in rows}
    held: dict[tuple[str, str], Media] = {}
    for cell in cells.expected(evidence.suite, evidence.own):
        if status[cell.agent, cell.game, cell.seed] not in SHOWN:
            continue
        files = newest(cell.folder(runs) / "media")
        if files:
            held.setdefault((cell.game, cell.agent), Media(cell, files))
    order = [(game, agent) for game in evidence.suite.games for agent in evidence.own]
    return [held[key] for key in order if key in held]


def newest(folder: Path) -> dict[str, tuple[int, Path]]:
    """Returns frame and path of the newest file of each kind."""
    held: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("*")):
        if said := NAME.fullmatch(path.name):
            held[said[2]] = int(said[1]), path
    return held


def section(media: Sequence[Media], folder: Path) -> Markup:
    """Returns the section; nothing where no run has a model to show.

    Args:
        media: of runs.
        folder: of the report, to which links are relative.
    """
    if not media:
        return Markup("")
    room, drawn, seen = TOTAL, [], set()
    for one in media:
        parts = []
        for kind, (_, path) in sorted(one.files.items()):
            data = path.read_bytes()
            fits = len(data) <= min(EACH, room)
            room -= len(data) if fits else 0
            parts.append(embedded(kind, data, one.cell) if fits else linked(path, folder))
        first = {} if one.cell.game in seen else {"id": f"{ANCHOR}-{one.cell.game}"}
        seen.add(one.cell.game)
        drawn.append(page.element("figure", *parts, caption(one), **first))
    return page.section(
        ANCHOR, HEADING, page.element("p", WORDS), page.element("div", *drawn, cls="worlds")
    )


def embedded(kind: str, content: bytes, cell: Cell) -> Markup:
    """Returns a file as part of the page."""
    data = f"data:{KINDS[kind]};base64,{base64.b64encode(content).decode()}"
    of = f"{cell.agent} on {figures.title(cell.game)}, seed {cell.seed}"
    if kind == "reconstruction.png":
        return page.void("img", src=data, alt=f"What the model of {of} saw, and what there was")
    given = {name: "" for name in ("controls", "loop", "muted", "playsinline")}
    return page.element("video", src=data, aria_label=f"What the model of {of} imagines", **given)


def linked(path: Path, folder: Path) -> Markup:
    """Returns a link to a file that is too large for the page."""
    place = quote(Path(os.path.relpath(path, folder)).as_posix())
    link = page.element("a", path.name, href=place)
    size = f" ({path.stat().st_size / 1e6:,.1f} MB, too much for this page)"
    return page.element("p", link, size, cls="note")


def caption(one: Media) -> Markup:
    """Returns whose media they are, and from when."""
    cell, frame = one.cell, max(frame for frame, _ in one.files.values())
    what = f" on {figures.title(cell.game)}, seed {cell.seed}, frame {frame:,}"
    return page.element("figcaption", sections.named(cell.agent), what)
