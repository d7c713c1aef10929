"""Who may import whom: rooms, the libraries that a room may use, and what training never loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("suites", "agents", "launch", "analysis")

# What each room may import of the others: a room, or single modules of it.
ALLOWED = {
    "suites": (),
    "agents": ("suites.records", "suites.view"),
    "launch": ("suites", "agents"),
    "analysis": ("suites",),
}
# The command line names the verbs of every room, and imports the room only when the verb is called.
EXCEPTIONS = {
    ("launch/cli.py", "analysis"),
    ("launch/drawing.py", "analysis"),
    ("launch/importing.py", "analysis"),
    ("launch/status.py", "analysis"),
    ("launch/verdicts.py", "analysis"),
}

# A training run is a process of `suites`, `agents` and `launch`; these are all it may load.
SMALL = {"yaml", "pydantic", "numpy", "gymnasium"}
LIBRARIES = {
    "suites": SMALL | {"PIL", "ale_py", "envpool"},
    "agents": SMALL | {"torch", "jaxtyping"},
    "launch": SMALL | {"PIL"},
}
# Libraries that belong to a verb or a workflow, imported inside what uses them and by nobody else.
OWNERS = {
    "mlflow": {
        "launch/mlflow_store.py",
        "launch/tracking.py",
        "analysis/imported/mlflow_source.py",  # It reads, the others write.
    },
    "snakemake": {"launch/flow.py"},
    "av": {"launch/video.py"},
    "submitit": {"launch/executor"},
    "snakemake_interface_common": {"launch/executor"},
    "snakemake_interface_executor_plugins": {"launch/executor"},
    "snakemake_executor_plugin_submitit": {
        "launch/executor",
        "launch/doctor",
        "launch/handed.py",
        "launch/status.py",
    },
    "cloudpickle": {"launch/executor"},  # Submitit's own.
    "sqlalchemy": {"launch/mlflow_store.py"},  # MLflow's own.
    "torch": {"agents"},
}
HEAVY = {"mlflow", "snakemake", "pandas", "matplotlib", "seaborn", "rliable", "scipy", "submitit"}


class Import(NamedTuple):
    """One imported name: where it stands, what it is, and whether it runs when the module loads."""

    file: str
    line: int
    name: str
    at_load: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"


def imports_of(text: str, file: str) -> Iterator[Import]:
    """Yields what the source imports; `from a import b` counts as a.b, as b may be a module."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}:{child.lineno} is a relative import"
                names = [f"{child.module}.{alias.name}" for alias in child.names]
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                yield from walk(child, at_load and not inside and not typing_only)
                continue
            yield from (Import(file, child.lineno, name, at_load) for name in names)

    yield from walk(ast.parse(text), True)


def imports_in(room: str) -> list[Import]:
    files = sorted((ROOT / room).rglob("*.py"))
    return [
        found
        for file in files
        for found in imports_of(file.read_text(), file.relative_to(ROOT).as_posix())
    ]


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_it_may(room):
    wrong = [
        str(found)
        for found in imports_in(room)
        if found.top in ROOMS
        and not within(found.name, (room, *ALLOWED[room]))
        and (found.file, found.top) not in EXCEPTIONS
    ]
    assert wrong == []


def test_an_exception_is_imported_only_when_it_is_called():
    assert not [
        str(found)
        for room in ROOMS
        for found in imports_in(room)
        if (found.file, found.top) in EXCEPTIONS and found.at_load
    ]


@pytest.mark.parametrize("room", LIBRARIES)
def test_a_training_room_uses_no_library_but_the_listed_ones(room):
    known = {*sys.stdlib_module_names, *ROOMS, *LIBRARIES[room], *OWNERS}
    assert [str(found) for found in imports_in(room) if found.top not in known] == []


def test_a_library_with_an_owner_is_imported_by_nobody_else():
    assert not [
        str(found)
        for room in ROOMS
        for found in imports_in(room)
        if found.top in OWNERS
        and not any(found.file.startswith(owner) for owner in OWNERS[found.top])
    ]


@pytest.mark.parametrize("room", LIBRARIES)
def test_heavy_libraries_are_not_loaded_with_a_training_room(room):
    wrong = [str(found) for found in imports_in(room) if found.at_load and found.top in HEAVY]
    assert wrong == []


@pytest.mark.parametrize("agent", ["ppo", "dreamer_ppo"])
def test_a_training_run_from_start_to_end_loads_nothing_heavy(agent, tmp_path):
    code = (
        "import sys; from launch.cli import main; code = main(sys.argv[1:]); "
        "print('loaded', code, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    words = ["run", agent, "--suite", "smoke", "--game", "catch", "--seed", "0"]
    words += ["--frames", "2000", "--out", "run", "--tracking", "spool"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    code, *loaded = said.split()[1:]
    assert code == "0" and {"torch", "numpy", "suites", "agents"} <= {*loaded}
    assert HEAVY & {*loaded} == set()


def test_the_rules_see_every_form_of_import():
    source = (
        "import launch.loop\nfrom analysis import scores\nfrom agents.parts import ppo as p\n"
        "def f():\n    import mlflow\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n"
        "class A:\n    import torch\n"
    )
    found = {each.name: each.at_load for each in imports_of(source, "suites/new.py")}
    assert found.pop("typing.TYPE_CHECKING")
    assert found == {
        "launch.loop": True,
        "analysis.scores": True,
        "agents.parts.ppo": True,
        "mlflow": False,
        "pandas": False,
        "torch": True,
    }
