"""House rules that no other tool checks: sizes, names, types, records, pins, what is tracked."""

import ast
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ROOMS = ("suites", "agents", "launch", "analysis")
CODE = (*ROOMS, "benchmarks")

LONGEST_FUNCTION = 60  # lines; more no longer fits a screen
LONGEST_MODULE = 400
LARGEST_FILE = 1 << 20  # bytes; evidence is figures and tables, not runs

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def functions(*folders: str) -> Iterator[tuple[str, Function]]:
    for file in sources(*folders):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, Function):
                yield f"{name_of(file)}:{node.lineno} {node.name}", node


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_function_is_longer_than_a_screen():
    sizes = {name: node.end_lineno - node.lineno + 1 for name, node in functions(*CODE, "tests")}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}


def test_no_module_is_too_long_to_read_at_once():
    sizes = {name_of(file): len(file.read_text().splitlines()) for file in sources(*CODE, "tests")}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_no_module_is_a_drawer_for_everything():
    drawers = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}
    assert [name_of(file) for file in sources(*CODE, "tests") if file.stem in drawers] == []


def test_every_function_says_its_types():
    def silent(node: Function) -> list[str]:
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        names = [each.arg for each in every if each is not None and each.annotation is None]
        missing = [name for name in names if name not in ("self", "cls")]
        return missing + (["return"] if node.returns is None and node.name != "__init__" else [])

    found = {name: silent(node) for name, node in functions(*ROOMS)}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_a_test_is_named_by_a_sentence_and_can_fail():
    def can_fail(node: Function) -> bool:
        calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
        called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        asserts = any(isinstance(each, ast.Assert | ast.Raise) for each in ast.walk(node))
        checks = ("assert_", "check", "raises", "warns", "fail", "refuse", "same")
        checks += ("close", "all_close", "gradients_close", "within")  # of tests.parity.golden
        return asserts or any(name.startswith(checks) for name in called)

    tests = [(name, node) for name, node in functions("tests") if node.name.startswith("test_")]
    assert [name for name, node in tests if not can_fail(node)] == []
    assert [name for name, node in tests if len(node.name.split("_")) < 4] == []


def records() -> list[type[pydantic.BaseModel]]:
    found = set()
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if "snakemake_executor_plugin" in module.name:
                continue  # Snakemake's settings classes are dataclasses with defaults, by contract.
            members = vars(importlib.import_module(module.name)).values()
            found |= {each for each in members if inspect.isclass(each)}
    ours = [each for each in found if issubclass(each, pydantic.BaseModel)]
    return [each for each in ours if each.__module__.partition(".")[0] in ROOMS]


def test_records_have_no_defaults():
    assert len(records()) > 10
    lax = [
        f"{record.__module__}.{record.__name__}.{name}"
        for record in records()
        for name, field in record.model_fields.items()
        if not field.is_required()
    ]
    assert lax == [], "the class says what a value means, the YAML holds it"


@pytest.mark.parametrize("words", [("ruff", "check"), ("ruff", "format", "--check")], ids=" ".join)
def test_ruff_has_nothing_to_say(words):
    done = subprocess.run(
        [sys.executable, "-m", *words, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt_has_nothing_to_say():
    rules = [ROOT / "Snakefile", *sorted((ROOT / "launch" / "rules").glob("*.smk"))]
    words = [Path(sys.executable).with_name("snakefmt"), "--check", "--compact-diff", *rules]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_large_is_tracked():
    sizes = {name_of(file): file.stat().st_size for file in tracked() if file.is_file()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}


def test_what_runs_write_is_not_tracked():
    written = re.compile(
        r"^(runs|results|mlruns|mlartifacts|\.venv|\.snakemake)/|^mlflow\.db|\.pyc$"
    )
    assert [name_of(file) for file in tracked() if written.match(name_of(file))] == []


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wanted = [Requirement(line.partition("#")[0]) for line in lines if line[:1].isalnum()]
    return {canonicalize_name(each.name): str(each.specifier) for each in wanted}


def needed(name: str, extras: set[str], seen: set[tuple[str, str]]) -> Iterator[str]:
    """Yields what an installed distribution asks for on this machine, and what that asks for."""
    for line in importlib.metadata.requires(name) or []:
        wanted = Requirement(line)
        for extra in ["", *extras]:
            key = (canonicalize_name(wanted.name), ",".join(sorted(wanted.extras)))
            here = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
            if not here or key in seen:
                continue
            seen.add(key)
            yield key[0]
            yield from needed(wanted.name, wanted.extras, seen)


def test_every_pin_is_one_exact_public_version():
    loose = {name: pin for name, pin in pins().items() if not re.fullmatch(r"==[^,*+]+", pin)}
    assert loose == {}, "a local label such as +cpu exists on one machine only"
    assert len(pins()) > 100


def test_every_installed_dependency_is_pinned_through_and_through():
    names = set(needed("reverie-bench", {"dev"}, set()))
    assert {"torch", "numpy", "alembic"} <= names
    assert names - set(pins()) == set(), "refresh with `make constraints`"


def test_the_installed_versions_are_the_pinned_ones():
    names = set(needed("reverie-bench", {"dev"}, set()))
    found = {name: importlib.metadata.version(name).partition("+")[0] for name in names}
    assert {name: f"=={found[name]}" for name in names} == {name: pins()[name] for name in names}


def test_the_pins_satisfy_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in [*project["dependencies"], *extras]:
        wanted = Requirement(line)
        pin = pins()[canonicalize_name(wanted.name)].removeprefix("==")
        assert wanted.specifier.contains(pin), f"{line} but constraints.txt has {pin}"


def test_every_file_that_contributing_names_is_there():
    named = re.findall(r"\]\(([^)#]+)\)", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []
