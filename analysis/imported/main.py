"""One import from beginning to end: which format, read, gathered, kept, and told in a few lines."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.imported import (
    cleanrl,
    curves,
    events,
    gathering,
    mlflow_source,
    official,
    plain,
    store,
    tensorboard,
)
from analysis.imported.curves import Found, counted
from analysis.imported.gathering import Wish
from analysis.imported.reading import Limits, Stream
from analysis.imported.store import Facts
from suites import windows
from suites.suite import Suite

FORMATS = {
    "official": "a JSON list of runs {task, method, seed, xs, ys}, gzip or not",
    "csv": f"a CSV with the columns {', '.join(plain.COLUMNS)}",
    "cleanrl": f"a CSV with {cleanrl.STEPS[0]} or Step, and {cleanrl.RETURN} of one run or of many",
    "tensorboard": f"a folder with event files ({tensorboard.FILES}), or one of them",
    "mlflow": "mlflow:http://HOST:PORT/EXPERIMENT, runs of our own",
}
FIRST = 1 << 16  # Bytes that a file is recognised by: a wide header has many columns.


def run(
    source: str,
    suite: Suite,
    name: str,
    results: Path,
    wish: Wish,
    now: float,
    commit: str | None,
    tracking: str,
) -> str:
    """Imports one file, folder or experiment.

    Args:
        source: Path, or `mlflow:...`.
        suite: Whose games and budget it has.
        name: What the import is called.
        results: Folder of all suites' results.
        wish: What else the user asked for.
        now: Unix time.
        commit: Of this program.
        tracking: Address of MLflow, for a source that names none.

    Returns:
        What was imported, for the user.

    Raises:
        ValueError: It cannot be read or does not fit; nothing was written.
    """
    place = store.folder(results, suite.name, name)
    store.refuse_existing(place, wish.force)
    form, found = read(source, suite, wish, tracking)
    try:
        facts, points = gathering.gather(found, suite, wish)
    except ValueError as error:
        raise ValueError(f"{found.source.name}: {error}") from None
    facts |= {
        "name": name, "suite": suite.name, "format": form, "source": found.source._asdict(),
        "clock": found.clock, "budget": suite.frames, "imported": now, "commit": commit,
    }  # fmt: skip
    return summary(store.write(place, facts, points, wish.force).facts, place)


def read(source: str, suite: Suite, wish: Wish, tracking: str) -> tuple[str, Found]:
    """Returns the format of a source, and what is in it.

    Raises:
        ValueError: It is of no known format, or malformed.
    """
    limits = Limits.of(wish.max_mib)
    form = wish.format or recognise(source, limits)
    steps = wish.frames_per_step
    if form == "mlflow":
        if steps not in (None, 1):
            raise ValueError("steps in MLflow are frames: leave out `--frames-per-step`")
        place = mlflow_source.address(source.removeprefix(mlflow_source.PREFIX), tracking)
        return form, mlflow_source.read(place, suite, wish.method, limits)
    if form == "tensorboard":
        return form, tensorboard.read(Path(source), limits, steps)
    readers: Mapping[str, Callable[[Stream], Found]] = {
        "official": lambda stream: official.read(stream, steps or 1),
        "csv": lambda stream: plain.read(stream, steps or 1),
        "cleanrl": lambda stream: cleanrl.read(stream, steps or cleanrl.PER_STEP),
    }
    with Stream(Path(source), limits) as stream:
        return form, readers[form](stream)


def recognise(source: str, limits: Limits) -> str:
    """Returns the format of a source by what is in it.

    Raises:
        ValueError: It is none that we know; the message lists them.
    """
    if source.startswith(mlflow_source.PREFIX):
        return "mlflow"
    path = Path(source)
    if path.is_dir():
        return "tensorboard"
    with Stream(path, limits) as stream:
        first = stream.peek(FIRST)
    if events.begins(first):
        return "tensorboard"
    if first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return "official"
    text = first.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    header = cleanrl.header(text.partition("\n")[0])
    if set(plain.COLUMNS) <= {*header}:
        return "csv"
    if cleanrl.claims(header):
        return "cleanrl"
    begins = curves.short(text.partition("\n")[0]) if first else "nothing"
    lines = [f"{form}: {words}" for form, words in FORMATS.items()]
    raise ValueError(
        f"{path.name}: of no known format; it begins with {begins}. `--format` takes one of\n  "
        + "\n  ".join(lines)
    )


def summary(facts: Facts, place: Path) -> str:
    """Says what was imported, a line each."""
    counts = sorted({len(seeds) for seeds in facts.seeds.values()})
    seeds = counted(counts[-1], "seed")
    seeds = seeds if len(counts) == 1 else f"{counts[0]} to {seeds}"
    size = "" if facts.source.bytes is None else f", {facts.source.bytes:,} bytes"
    span = f", frames {facts.first_frame:,} to {facts.last_frame:,}" if facts.points else ""
    nulls = f", {facts.nulls:,} without a value" if facts.nulls else ""
    told = {
        "source": f"{facts.source.name} ({facts.format}{size})",
        "method": facts.method,
        "runs": f"{facts.runs}: {counted(len(facts.seeds), 'game')} x {seeds}",
        "points": f"{facts.points:,}{nulls}{span}",
        "kind": f"{facts.kind} ({facts.clock})",
        "window": f"{facts.window}: {windows.parse(facts.window).words(facts.budget)}",
        "protocol": _protocol(facts),
    }
    head = f"imported as {facts.name}: {place}"
    lines = [f"  {key:<9} {value}" for key, value in told.items()]
    return "\n".join([head, *lines, *(f"  {'note':<9} {note}" for note in facts.notes)])


def _protocol(facts: Facts) -> str:
    stated = facts.protocol.model_dump()
    words = [f"{key} {json.dumps(value)}" for key, value in stated.items() if value is not None]
    return ", ".join(words).replace('"', "") or "not stated by the source"
