"""PostgreSQL and an MLflow server on it, started by the commands of docs/mlflow.md.

All is in a folder of its own and gone after the test. Root may not run PostgreSQL: for root the
user `postgres` does, whom Debian's package brings.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.cluster import slurm

PAGE = Path(__file__).parents[2] / "docs" / "mlflow.md"
PROGRAMS = ("initdb", "pg_ctl", "createdb")
HOW = "apt-get install postgresql; pip install psycopg2-binary"
START_S = 240.0


def commands() -> list[str]:
    """Returns the blocks of commands under "A server for a team"."""
    chapter = PAGE.read_text().partition("## A server for a team")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", chapter, re.DOTALL)


def missing() -> list[str]:
    """Returns what this machine lacks."""
    gone = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    return gone + [name for name in ("psycopg2",) if not importlib.util.find_spec(name)]


def search_path() -> str:
    """Returns a PATH with the folder in which Debian keeps PostgreSQL's programs."""
    theirs = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    ours = str(Path(sys.executable).parent)
    return os.pathsep.join([ours, *theirs, os.environ.get("PATH", "")])


class Team:
    """A database and a server, which can be killed and started again."""

    def __init__(self, folder: Path):
        """Starts nothing yet; the folder's name has to be short, for the socket."""
        self.folder, self.port = folder, slurm.a_port(1)
        self.uri = f"http://127.0.0.1:{self.port}"
        self.database_uri = f"postgresql://mlflow@/mlflow?host={folder}/db"
        self.server: subprocess.Popen[bytes] | None = None
        once, serve, _ = commands()
        self.create, self.serve = once.splitlines(), serve
        # The documented port is taken on many a machine, and tests are for this one alone.
        self.serve = self.serve.replace("5000", str(self.port)).replace("0.0.0.0", "127.0.0.1")

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Self]:
        """Yields a team's database and server, or skips the test by name."""
        if gone := missing():
            pytest.skip(f"no PostgreSQL here ({', '.join(gone)}): {HOW}")
        with tempfile.TemporaryDirectory(prefix="team") as name:
            if os.geteuid() == 0:
                shutil.chown(name, "postgres")
            team = cls(Path(name))
            try:
                for line in team.create:
                    team.run(line)
                team.start_server()
                yield team
            finally:
                team.kill_server()
                team.run("pg_ctl -D db -m immediate -w stop", check=False)

    def run(self, line: str, check: bool = True) -> None:
        """Runs a command as the user that PostgreSQL runs as."""
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        words = [*(user if os.geteuid() == 0 else []), "bash", "-c", line]
        with (self.folder / "commands.log").open("a+") as log:
            done = subprocess.run(
                words, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, check=False,
            )  # fmt: skip
        said = (self.folder / "commands.log").read_text()
        assert not (check and done.returncode), f"{line}\n{said}"

    @property
    def environ(self) -> dict[str, str]:
        """What the commands start with: no account's own settings, English words."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MLFLOW_"))}
        return kept | {"PATH": search_path(), "LC_ALL": "C", "PWD": str(self.folder)}

    def start_database(self) -> None:
        """Starts a database that was killed."""
        slurm.wait(self._restarted, "PostgreSQL")

    def kill_database(self) -> None:
        """Has the database die without a word."""
        first = int((self.folder / "db/postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGKILL)

    def start_server(self) -> None:
        """Starts the server and waits until it answers."""
        with (self.folder / "server.log").open("a") as log:
            self.server = subprocess.Popen(
                ["bash", "-c", self.serve], cwd=self.folder, env=self.environ, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        slurm.wait(lambda: self.ask("/health") == 200, "mlflow server", START_S)

    def kill_server(self) -> None:
        """Has the server die without a word, and all of its workers."""
        if self.server:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
            self.server = None

    def ask(self, path: str, host: str | None = None) -> int:
        """Returns the status of the server's answer, or 0."""
        asked = urllib.request.Request(f"{self.uri}{path}", headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _restarted(self) -> bool:
        with contextlib.suppress(AssertionError):  # Its processes need a moment to notice.
            self.run(self.create[1])
            return True
        return False
