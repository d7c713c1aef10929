"""The score files that danijar/dreamerv3 and danijar/dreamerv2 publish: JSON, mostly gzip.

A list of runs `{"task": "atari_pong", "method": "dreamerv3", "seed": 0, "xs": [...], "ys": [...]}`;
`xs` are frames, `ys` returns, null where a bin has no episode. Atari 100k has a point for every
finished training episode, 200M frames have means of bins. DreamerV2's files write seeds as text.
"""

import json
from typing import Any

import numpy as np

from analysis.imported.curves import LARGEST, MOST_RUNS, Curve, Found, cut, short
from analysis.imported.reading import Items, Stream

FIELDS = {"task": "text", "method": "text", "seed": "a whole number from 0, or text"}
POINTS = ("xs", "ys")


def read(stream: Stream, per_step: int) -> Found:
    """Reads a score file.

    Args:
        stream: The file.
        per_step: Frames of one unit of `xs`; 1 in the published files.

    Raises:
        ValueError: It is malformed; the message says where.
    """
    curves = []
    for offset, text in Items(stream):
        where = f"{stream.name}, run {len(curves)} ({stream.unit} {offset + 1:,})"
        if len(curves) >= MOST_RUNS:
            raise ValueError(f"{where}: more than {MOST_RUNS:,} runs")
        curves.append(_curve(_record(text, where), len(curves), per_step, where))
    clock = "xs are frames" if per_step == 1 else f"frames = {per_step} x xs"
    return Found(stream.source(), curves, clock, None, False, {}, [])


def _record(text: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: not JSON: {error.msg} at its character {error.pos + 1:,}"
        ) from None
    except (ValueError, RecursionError) as error:  # Not UTF-8, a key twice, endless digits.
        raise ValueError(f"{where}: not JSON: {error}") from None
    if missing := [key for key in (*FIELDS, *POINTS) if key not in record]:
        raise ValueError(
            f"{where}: lacks {', '.join(missing)}; saw {short(', '.join(record) or 'nothing')}"
        )
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{short(twice)} is there twice")
    return record


def _curve(record: dict[str, Any], index: int, per_step: int, where: str) -> Curve:
    for key, allowed in FIELDS.items():
        value = record[key]
        fits = isinstance(value, str) and value.strip()
        fits = fits or (key == "seed" and type(value) is int and value >= 0)
        if not fits:
            raise ValueError(f"{where}: {key}: saw {_said(value)}; allowed is {allowed}")
    task, method, seed = (record[key] for key in FIELDS)
    where = f"{where}: {short(task)}, seed {short(seed)}"
    xs, ys = (_numbers(record[key], key, where) for key in POINTS)
    if len(xs) != len(ys):
        raise ValueError(f"{where}: {len(xs)} xs and {len(ys)} ys; allowed are equally many")
    if (back := np.flatnonzero(np.diff(xs) < 0)).size:
        at = int(back[0]) + 1
        raise ValueError(
            f"{where}: xs[{at}]: saw {record['xs'][at]} after {record['xs'][at - 1]}; "
            "allowed is to stay or to grow"
        )
    return Curve(method, task, seed, f"run {index}", xs.astype(np.int64) * per_step, ys)


def _numbers(values: Any, key: str, where: str) -> np.ndarray:
    """Returns a list of numbers as (N,) float64; xs are whole and from 0, ys may be null."""
    xs = key == "xs"
    allowed = "a whole number of frames from 0" if xs else "a finite number or null"
    if not isinstance(values, list):
        raise ValueError(f"{where}: {key}: saw {_said(values)}; allowed is a list")
    kinds = {int, float} if xs else {int, float, type(None)}

    def wrong(index: int) -> ValueError:
        return ValueError(
            f"{where}: {key}[{index}]: saw {_said(values[index])}; allowed is {allowed}"
        )

    if not set(map(type, values)) <= kinds:  # A bool is no int here.
        raise wrong(next(at for at, value in enumerate(values) if type(value) not in kinds))
    there = np.array([value is not None for value in values], bool)
    try:
        array = np.array(values, float)  # None becomes NaN.
    except OverflowError:
        raise wrong(next(at for at, value in enumerate(values) if _endless(value))) from None
    fits = np.isfinite(array) | ~there
    if xs:
        fits &= (array >= 0) & (array <= LARGEST) & (np.floor(array) == array)
    if not fits.all():
        raise wrong(int(np.argmin(fits)))
    return array


def _endless(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > LARGEST**6


def _said(value: Any) -> str:
    return cut(json.dumps(value))
