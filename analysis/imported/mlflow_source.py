"""Experiments of our own on an MLflow server: a finished sweep of another machine.

`mlflow:http://host:5000/EXPERIMENT`, or `mlflow:EXPERIMENT` of MLFLOW_TRACKING_URI. A run is known
by its tags (suite, agent, game, seed, task); `episode/return` has a point for every training
episode at its frame. Only runs that have finished are taken; the others are named.

MLflow is imported here by what reads it, nowhere else in this room.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from analysis.imported import store
from analysis.imported.curves import MOST_RUNS, Curve, Found, listed
from analysis.imported.reading import Limits, Source
from suites import windows
from suites.suite import Suite

PREFIX = "mlflow:"
RETURN, SCORE = "episode/return", "score/final"
TAGS = ("suite", "agent", "game", "seed")
PAGE = 1000  # Runs a call.
COST = 32  # Bytes of memory that a point is counted as, against the limit.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}


class Address(NamedTuple):
    """Where an experiment is."""

    uri: str
    experiment: str

    @property
    def shown(self) -> str:
        """The same without a password."""
        return f"{PREFIX}{re.sub(r'//[^/@]*@', '//', self.uri)}/{self.experiment}"


def address(text: str, default: str) -> Address:
    """Reads what follows `mlflow:`.

    Args:
        text: ADDRESS/EXPERIMENT, or EXPERIMENT.
        default: Address where none is given.

    Raises:
        ValueError: There is no experiment in it, or no such file of a database.
    """
    uri, _, experiment = text.rpartition("/") if "://" in text else (default, "", text)
    hostless = uri.startswith("http") and not urlsplit(uri).netloc
    if not experiment or hostless:
        raise ValueError(
            f"saw {PREFIX}{text}; allowed is {PREFIX}http://HOST:PORT/EXPERIMENT, "
            f"{PREFIX}sqlite:///FILE/EXPERIMENT or {PREFIX}EXPERIMENT (of MLFLOW_TRACKING_URI)"
        )
    path = uri.partition(":///")[2].partition("?")[0]
    if uri.startswith("sqlite") and not Path(path).is_file():
        raise ValueError(f"{path}: there is no such database")  # MLflow would make one.
    return Address(uri, experiment)


def read(place: Address, suite: Suite, method: str | None, limits: Limits) -> Found:
    """Reads an experiment's finished runs.

    Args:
        place: Of the experiment.
        suite: Its budget and task are compared with those of the runs.
        method: Agent whose curves are wanted; None for all.
        limits: How much is held.

    Raises:
        ValueError: MLflow does not answer, there is no such experiment, or its runs are of
            several tasks or another budget.
    """
    with _answering(place):
        client = _client(place.uri)
        experiment = client.get_experiment_by_name(place.experiment)
        if experiment is None:
            names = sorted(each.name for each in client.search_experiments())
            raise ValueError(
                f"{place.shown}: there is no such experiment; there are {listed(names, 20)}"
            )
        runs, notes = _finished(list(_runs(client, experiment.experiment_id)), place)
        agents = {run.data.tags["agent"] for run in runs}
        if method not in agents and (method or len(agents) > 1):
            curves = [_curve(run, []) for run in runs]  # To be refused, with what there is.
            return Found(Source(place.shown, None, None), curves, "", "episodes", True, {}, notes)
        wanted = [run for run in runs if method in (None, run.data.tags["agent"])]
        stated = _stated(wanted, suite, place, notes)
        curves, points = [], 0
        for run in wanted:
            history = client.get_metric_history(run.info.run_id, RETURN)
            points += len(history)
            if points * COST > limits.total:
                raise ValueError(
                    f"{place.shown}: more than {limits.total // COST:,} points; "
                    "`--max-mib` allows more, `--method` takes one agent"
                )
            curves.append(_curve(run, history))
    notes += _differences(wanted, curves, suite)
    source = Source(place.shown, None, None)
    return Found(source, curves, "step is frames", "episodes", True, stated, notes)


def _client(uri: str) -> Any:
    for key, value in MANNERS.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _runs(client: Any, experiment: str) -> Iterator[Any]:
    token, count = None, 0
    while True:
        page = client.search_runs([experiment], max_results=PAGE, page_token=token)
        count, token = count + len(page), page.token
        if count > MOST_RUNS:
            raise ValueError(f"more than {MOST_RUNS:,} runs in the experiment")
        yield from page
        if not token:
            return


def _finished(runs: Sequence[Any], place: Address) -> tuple[list[Any], list[str]]:
    """Returns the runs that count, in order, and what is to be said of the others."""
    ours = [run for run in runs if all(tag in run.data.tags for tag in TAGS)]
    done = [run for run in ours if run.info.status == "FINISHED"]
    if not done:
        raise ValueError(f"{place.shown}: {len(runs)} runs, none of them finished and ours")
    notes = []
    if strange := len(runs) - len(ours):
        notes.append(f"{strange} runs left out that no sweep of ours wrote")
    if rest := sorted(f"{_name(run)} {run.info.status}" for run in ours if run not in done):
        notes.append(f"{len(rest)} runs left out that have not finished: {listed(rest)}")
    return sorted(done, key=_name), notes


def _stated(
    runs: Sequence[Any], suite: Suite, place: Address, notes: list[str]
) -> dict[str, object]:
    """Returns what the runs say of their protocol; they have to agree."""
    said = {
        key: sorted({run.data.params.get(key) or "null" for run in runs})
        for key in ("frames", "task.sticky", "task.actions")
    } | {"task": sorted({run.data.tags.get("task", "null") for run in runs})}
    for key, values in said.items():
        if len(values) > 1:
            raise ValueError(f"{place.shown}: its runs differ in {key}: {listed(values)}")
    (frames,), (sticky,), (actions,), (task,) = said.values()
    if frames not in ("null", str(suite.frames)):
        raise ValueError(
            f"{place.shown}: runs of {int(frames):,} frames; the budget of suite {suite.name} is "
            f"{suite.frames:,}"
        )
    if task not in ("null", suite.task_digest):
        notes.append(f"task {task}, not that of suite {suite.name} here, {suite.task_digest}")
    return {
        "sticky": json.loads(sticky),
        "actions": actions if actions != "null" else None,
        "episodes": "training",
        "task": task if task != "null" else None,
    }


def _curve(run: Any, history: Sequence[Any]) -> Curve:
    tags = run.data.tags
    points = sorted(history, key=lambda point: (point.step, point.timestamp))
    return Curve(
        tags["agent"], tags["game"], tags["seed"], f"run {run.info.run_id}",
        np.array([point.step for point in points], np.int64),
        np.array([point.value for point in points], float),
    )  # fmt: skip


def _differences(runs: Sequence[Any], curves: Sequence[Curve], suite: Suite) -> list[str]:
    """Compares the points with the score that each run wrote when it had finished."""
    differ = []
    for run, curve in zip(runs, curves, strict=True):
        name, said = run.data.params.get("score.window"), run.data.metrics.get(SCORE)
        if name is None or said is None or name == "evaluation":
            continue
        window = windows.parse(name)
        found = store.score(window, suite.frames, "episodes", curve.frames, curve.returns).value
        if not np.isclose(found, said, rtol=1e-9, atol=1e-9):
            differ.append(f"{_name(run)} {found:g}, said {said:g}")
    if not differ:
        return []
    return [f"points of {len(differ)} runs give another score than they said: {listed(differ)}"]


def _name(run: Any) -> str:
    return "/".join(run.data.tags[tag] for tag in TAGS[1:])


@contextlib.contextmanager
def _answering(place: Address) -> Iterator[None]:
    """Says in one line what goes wrong between MLflow and us."""
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = re.sub(r"//[^/@]*@", "//", reason)[:300]
        raise ValueError(f"{place.shown}: MLflow cannot be used: {reason}") from error
