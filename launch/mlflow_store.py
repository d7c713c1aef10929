"""The only module that imports MLflow: finds, makes and fills its runs.

Every failure of MLflow comes out as one of two: `Unavailable`, after which trying again later makes
sense, and `Refused`, which concerns one run alone. `mlflow.autolog` is never called: it would
import a package that has the name of our `agents`.
"""

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from launch import flock
from launch.mlflow_view import View
from launch.points import EPISODES, EVALUATION, METRICS, Point

BATCH = 1000  # Metrics a call; MLflow refuses more.
PAIRS = 100  # Params or tags a call.
PATIENCE_S = 120.0  # For other processes that create the same database, or write to the same file.
ADVISED = 0x7265_7665_7269_65  # Number of our lock in PostgreSQL: "reverie".
CURVES = {METRICS: "time/hours", EPISODES: "episode/return", EVALUATION: "eval/return"}

# A server that is down must be noticed in seconds: the files wait, nothing else should.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # Two lines for every run that ends.
}
DRIVER = "PostgreSQL's driver is not installed: `pip install psycopg2-binary`"
OF_ONE_RUN = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE"}


class MissingError(Exception):
    """MLflow is not installed."""


class UnavailableError(Exception):
    """MLflow does not answer as it should; later it may."""


class RefusedError(Exception):
    """MLflow does not take this run."""


def prepare(uri: str, root: Path) -> None:
    """Creates the database, once, before processes that write to it start side by side.

    MLflow's own creation fails when several processes begin with an empty database: they take
    turns. A sqlite file is made aside and renamed, so a killed creation leaves nothing behind.
    A server makes its own, and is asked whether it answers.

    Raises:
        MissingError: MLflow is not installed.
        UnavailableError: the database cannot be made or reached.
    """
    path = sqlite_path(uri)
    with _translated(uri):
        if served(uri):
            _import().MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
            return
        with _turn(uri, root):
            if path and (not path.exists() or not path.stat().st_size):
                aside = path.with_name(path.name + ".part")
                aside.unlink(missing_ok=True)
                _create(f"sqlite:///{aside}", root)
                aside.replace(path)
            elif not path or not _has_tables(path):
                _create(uri, root)


class Attached(NamedTuple):
    """The run of a folder in MLflow."""

    run_id: str
    how: Literal["named", "found", "new"]  # By its id, by its tags; or created just now.


class Store:
    """MLflow at one address."""

    def __init__(self, uri: str, root: Path):
        """Connects.

        Raises:
            MissingError: MLflow is not installed.
            UnavailableError: it does not answer.
        """
        prepare(uri, root)
        self.uri, self.root, path = uri, root, sqlite_path(uri)
        self.lock = path.with_name(path.name + ".lock") if path else None
        self.experiments: dict[str, str] = {}  # Ids, by name.
        self.known: set[str] = set()  # Runs that were there; nobody asks again before a refusal.
        with _translated(uri):
            self.mlflow = _import()
            self.client = self.mlflow.MlflowClient(tracking_uri=uri)

    def attach(self, view: View, run_id: str | None) -> Attached:
        """Returns the run of a folder: the one named, else the one with its tags, else a new one.

        Raises:
            RefusedError: somebody deleted the run in MLflow.
        """
        if run_id and (run_id in self.known or self._exists(run_id)):
            attached = Attached(run_id, "named")
        else:
            with self._writing():
                attached = self._found_or_new(view)
        self.known.add(attached.run_id)
        return attached

    def describe(self, run: Attached, view: View) -> None:
        """Writes tags, and the params that are not there yet: MLflow lets no param change."""
        entities = self.mlflow.entities
        with self._writing(run.run_id):
            params, tags = {}, view.identity
            if run.how != "new":
                there = self.client.get_run(run.run_id).data
                params, tags = there.params, there.tags
            missing = [entities.Param(k, v) for k, v in view.params.items() if k not in params]
            changed = [entities.RunTag(k, v) for k, v in view.tags.items() if tags.get(k) != v]
            chunks = (_chunks(missing, PAIRS), _chunks(changed, PAIRS))
            for some, few in zip_longest(*chunks, fillvalue=()):
                self.client.log_batch(run.run_id, params=some, tags=few)

    def write(self, run_id: str, points: Sequence[Point]) -> None:
        """Writes at most BATCH points; MLflow takes all of them or none."""
        assert len(points) <= BATCH, len(points)
        metrics = [
            self.mlflow.entities.Metric(point.key, point.value, point.unix_ms, point.step)
            for point in points
        ]
        with self._writing(run_id):
            self.client.log_batch(run_id, metrics=metrics)

    def upload(self, run_id: str, folder: Path, names: Sequence[str]) -> None:
        """Copies small files of a folder to the run's artifacts, in the same folders there."""
        with self._writing(run_id):
            for name in names:
                inside = name.rpartition("/")[0] or None
                self.client.log_artifact(run_id, str(folder / name), inside)

    def settle(self, run_id: str, status: str, ended: float | None) -> None:
        """Writes the run's status, and when it ended."""
        with self._writing(run_id):
            if ended is None:
                self.client.update_run(run_id, status=status)
            else:
                self.client.set_terminated(run_id, status, end_time=round(1000 * ended))

    def reached(self, run_id: str) -> dict[str, int]:
        """Asks how far each file was written: its last frame, of episodes their number less one."""
        with _translated(self.uri):
            curves = {
                name: [point.step for point in self.client.get_metric_history(run_id, key)]
                for name, key in CURVES.items()
            }
        last = {name: max(steps, default=-1) for name, steps in curves.items()}
        return last | {EPISODES: len(curves[EPISODES]) - 1}

    def _found_or_new(self, view: View) -> Attached:
        experiment = self._experiment(view.experiment)
        if run_id := self._search(experiment, view.identity):
            return Attached(run_id, "found")
        return Attached(self._create(experiment, view), "new")

    def _exists(self, run_id: str) -> bool:
        with _translated(self.uri, of_one_run=True):
            try:
                info = self.client.get_run(run_id).info
            except self.mlflow.exceptions.MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise
        if info.lifecycle_stage != "active":
            raise RefusedError(
                f"its run {run_id} was deleted in MLflow: restore it there, or remove mlflow.json "
                "for a new one"
            )
        return True

    def _experiment(self, name: str) -> str:
        if name not in self.experiments:
            self.experiments[name] = self._find_experiment(name)
        return self.experiments[name]

    def _find_experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            ours = (self.root / "mlartifacts" / name).resolve().as_uri()
            place = None if served(self.uri) else ours
            try:
                return self.client.create_experiment(name, artifact_location=place)
            except self.mlflow.exceptions.MlflowException:
                found = self.client.get_experiment_by_name(name)  # Another process was faster.
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise RefusedError(f"experiment {name!r} was deleted in MLflow: restore it there")
        return found.experiment_id

    def _search(self, experiment: str, identity: Mapping[str, str]) -> str | None:
        clause = f"tags.config = '{identity['config']}'"  # The other values may hold quotes.
        runs = self.client.search_runs([experiment], clause, max_results=1000)
        same = [run for run in runs if identity.items() <= run.data.tags.items()]
        return same[-1].info.run_id if same else None  # The oldest.

    def _create(self, experiment: str, view: View) -> str:
        run = self.client.create_run(
            experiment, round(1000 * view.started), tags=view.identity, run_name=view.name
        )
        return run.info.run_id

    @contextlib.contextmanager
    def _writing(self, run_id: str = "") -> Iterator[None]:
        try:
            with _translated(self.uri, of_one_run=True), contextlib.ExitStack() as stack:
                if self.lock:
                    stack.enter_context(flock.held(self.lock, PATIENCE_S))
                yield
        except RefusedError:  # Perhaps somebody deleted what was there.
            self.known.discard(run_id)
            self.experiments.clear()
            raise


def shown(uri: str) -> str:
    """Returns an address without the password that it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


def sqlite_path(uri: str) -> Path | None:
    """Returns the file of a sqlite address; None for other addresses."""
    if urlsplit(uri).scheme.partition("+")[0] != "sqlite":
        return None
    return Path(uri.partition(":///")[2].partition("?")[0])


def served(uri: str) -> bool:
    """Says whether an address is that of a server."""
    return uri.startswith(("http://", "https://"))


def _import() -> Any:
    for key, value in MANNERS.items():
        os.environ.setdefault(key, value)
    try:
        import mlflow
    except ImportError as error:
        raise MissingError(str(error)) from error
    for name in ("mlflow", "alembic"):  # They tell of every table that they make.
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


def _turn(uri: str, root: Path) -> contextlib.AbstractContextManager[None]:
    """Lets one process at a time create a database."""
    if urlsplit(uri).scheme.partition("+")[0] == "postgresql":
        return _advised(uri)
    path = sqlite_path(uri)
    lock = path.with_name(path.name + ".lock") if path else root / "mlflow.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    return flock.held(lock, PATIENCE_S)


@contextlib.contextmanager
def _advised(uri: str) -> Iterator[None]:
    """Holds a lock in PostgreSQL, which first writers of all machines and folders share.

    It ends with the connection, however that ends.
    """
    _import()
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        uri, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"set lock_timeout = '{PATIENCE_S:.0f}s'"))
        connection.execute(sqlalchemy.text(f"select pg_advisory_lock({ADVISED})"))
        yield


def _create(uri: str, root: Path) -> None:
    _import()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, str((root / "mlartifacts").resolve())).engine.dispose()


def _has_tables(path: Path) -> bool:
    """Says whether MLflow's tables are there, without importing MLflow."""
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE_S)) as database:
        rows = database.execute("select 1 from sqlite_master where name = 'alembic_version'")
        return rows.fetchone() is not None


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextlib.contextmanager
def _translated(uri: str, of_one_run: bool = False) -> Iterator[None]:
    """Turns whatever goes wrong in MLflow into Unavailable or Refused, without passwords."""
    try:
        yield
    except (MissingError, UnavailableError, RefusedError):
        raise
    except Exception as error:
        reason = _reason(str(error)) or type(error).__name__
        if isinstance(error, ImportError) and error.name == "psycopg2":
            reason = DRIVER
        if of_one_run and getattr(error, "error_code", None) in OF_ONE_RUN:
            raise RefusedError(f"MLflow at {shown(uri)} refuses it: {reason}") from error
        raise UnavailableError(f"MLflow at {shown(uri)} cannot be used: {reason}") from error


def _reason(text: str) -> str:
    """Returns what an error says in one short line, without what libraries wrap around it."""
    answer = re.search(r"failed with error code (\d+) != 200. Response body: '(.*)'", text, re.S)
    if answer:
        body = " ".join(re.sub(r"<[^>]*>", " ", answer[2]).split())
        return f"it answers {answer[1]}: {body[:200]}"
    inner = re.search(
        r"\[Errno -?\d+\] [^'\"()]+|Read timed out|too many \d+ error responses", text
    )
    return shown(inner[0] if inner else text.strip().partition("\n")[0])[:300].rstrip(": ")
