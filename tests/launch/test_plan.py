"""Which runs a sweep consists of, how far they are, and what is refused before anything starts."""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import suites
from launch import config, plan

SMOKE = suites.load("smoke")
LABELS = ("random", "ppo")


def survey(root: Path) -> dict[str, str]:
    return {run.name: run.state for run in plan.survey(SMOKE, LABELS, root)}


def run_of(name: str, root: Path) -> plan.Run:
    return next(run for run in plan.survey(SMOKE, LABELS, root) if run.name == name)


def finish(root: Path, name: str, digest: str | None = None) -> None:
    run = run_of(name, root)
    write(root / run.receipt, {"hash": digest or run.hash})
    begin(root, name, digest)


def begin(root: Path, name: str, digest: str | None = None) -> None:
    run = run_of(name, root)
    write(root / run.folder / "config.json", {"hash": digest or run.hash})


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_runs_are_every_point_of_agents_games_and_seeds(tmp_path):
    assert list(survey(tmp_path)) == [
        "random/catch/0",
        "random/pong/0",
        "ppo/catch/0",
        "ppo/pong/0",
    ]


def test_a_run_is_finished_by_its_receipt_alone(tmp_path):
    finish(tmp_path, "ppo/pong/0")
    begin(tmp_path, "ppo/catch/0")
    state = survey(tmp_path)
    assert state["ppo/pong/0"] == "finished"
    assert state["ppo/catch/0"] == state["random/pong/0"] == "missing"


def test_the_hash_is_the_one_that_the_run_itself_writes(tmp_path):
    run = run_of("ppo/pong/0", tmp_path)
    assert run.hash == config.resolve("smoke", "ppo", "pong", 0).hash


@pytest.mark.parametrize("trace", [finish, begin])
def test_a_receipt_or_run_folder_of_another_configuration_is_stale(tmp_path, trace):
    trace(tmp_path, "ppo/pong/0", "0123456789abcdef")
    assert survey(tmp_path)["ppo/pong/0"] == "stale"


def test_a_receipt_that_cannot_be_read_is_stale_rather_than_finished(tmp_path):
    finish(tmp_path, "ppo/pong/0")
    (tmp_path / "results/smoke/ppo/pong/0.json").write_text("{")
    assert survey(tmp_path)["ppo/pong/0"] == "stale"


def test_a_file_where_the_folder_of_a_run_should_be_is_stale_and_moves_aside(tmp_path):
    write(tmp_path / "runs/smoke/ppo/pong/0", "something else")
    assert survey(tmp_path)["ppo/pong/0"] == "stale"
    plan.move_aside([run_of("ppo/pong/0", tmp_path)], tmp_path)
    assert survey(tmp_path)["ppo/pong/0"] == "missing"


def test_a_receipt_that_the_disk_does_not_give_is_named_and_its_run_not_made_again(tmp_path):
    (tmp_path / "results/smoke/ppo/pong/0.json").mkdir(parents=True)  # Read, it is an OSError.
    with pytest.raises(ValueError, match=r"ppo/pong/0\.json cannot be read: Is a directory"):
        survey(tmp_path)


def test_stale_runs_are_left_out_of_the_report(tmp_path):
    finish(tmp_path, "ppo/pong/0", "0123456789abcdef")
    wanted = plan.receipts(plan.survey(SMOKE, LABELS, tmp_path))
    assert "results/smoke/ppo/pong/0.json" not in wanted
    assert len(wanted) == 3


def test_stale_runs_move_aside_whole_and_start_anew(tmp_path):
    finish(tmp_path, "ppo/pong/0", "0123456789abcdef")
    moved = plan.move_aside([run_of("ppo/pong/0", tmp_path)], tmp_path)
    receipt = tmp_path / "results/smoke/ppo/pong/0.json.stale-0123456789abcdef"
    folder = tmp_path / "runs/smoke/ppo/pong/0.stale-0123456789abcdef"
    assert moved == [receipt, folder]
    assert json.loads(receipt.read_text()) == json.loads((folder / "config.json").read_text())
    assert survey(tmp_path)["ppo/pong/0"] == "missing"


def test_moving_aside_twice_keeps_both(tmp_path):
    for _ in range(2):
        finish(tmp_path, "ppo/pong/0", "0123456789abcdef")
        plan.move_aside([run_of("ppo/pong/0", tmp_path)], tmp_path)
    kept = sorted(path.name for path in (tmp_path / "runs/smoke/ppo/pong").iterdir())
    assert kept == ["0.stale-0123456789abcdef", "0.stale-0123456789abcdef-2"]


def test_a_folder_that_a_process_writes_to_is_not_moved_nor_any_other(tmp_path):
    for name in ("ppo/catch/0", "ppo/pong/0"):
        finish(tmp_path, name, "0123456789abcdef")
    before = survey(tmp_path)
    with (tmp_path / "runs/smoke/ppo/pong/0/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match=r"ppo/pong/0 is in use"):
            plan.move_aside(plan.of_state(plan.survey(SMOKE, LABELS, tmp_path), "stale"), tmp_path)
    assert survey(tmp_path) == before


def test_the_summary_counts_and_names_what_is_stale(tmp_path):
    finish(tmp_path, "random/pong/0")
    finish(tmp_path, "ppo/pong/0", "0123456789abcdef")
    said = plan.summary(plan.survey(SMOKE, LABELS, tmp_path))
    assert said.startswith("smoke: random, ppo; 4 runs: 1 finished, 2 to do, 1 stale\n")
    assert "\n  ppo/pong/0\n" in said
    assert "rerun=stale" in said


def test_a_long_list_of_stale_runs_is_cut(tmp_path):
    many = [plan.Run("smoke", "ppo", "pong", seed, "", "stale") for seed in range(100)]
    said = plan.summary(many)
    assert f"and {100 - plan.SHOWN} more" in said
    assert len(said.splitlines()) == plan.SHOWN + 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"suite": "smoek"}, "unknown suite 'smoek'.*did you mean 'smoke'"),
        ({"suite": "suites/smoke.yaml"}, "allowed are names"),
        ({"suite": "smoke", "agents": "rnadom"}, "unknown agent 'rnadom'.*did you mean 'random'"),
        ({"suite": "smoke", "agents": "ppo+flaot32"}, "unknown block 'flaot32'.*'float32'"),
        ({"suite": "smoke", "agents": "ppo,ppo"}, "'ppo' is there twice"),
        ({"suite": "smoke", "agents": ["ppo,lr=1.0e-4"]}, "a sweep takes named blocks"),
        ({"suite": "smoke", "agent": "ppo"}, "unknown key 'agent'; did you mean 'agents'"),
        ({"suite": "smoke", "rerun": "stail"}, "rerun: saw 'stail'.*did you mean 'stale'"),
        ({"suite": "smoke", "tracking": "of"}, "tracking: saw 'of'"),
        ({"suite": "smoke", "max_hours": "many"}, "max_hours: saw 'many'.*a number above 0"),
        ({"suite": "smoke", "max_hours": 0}, "max_hours: saw 0.*a number above 0"),
        ({"suite": "smoke", "max_huors": 9}, "unknown key 'max_huors'; did you mean 'max_hours'"),
    ],
)
def test_what_was_asked_is_refused_with_the_nearest_match(asked, said):
    with pytest.raises(ValueError, match=f"(?s){said}"):
        plan.order(asked)


@pytest.mark.parametrize("agents", ["random,ppo", "random, ppo", ["random", "ppo"]])
def test_agents_are_given_as_text_or_as_a_list(agents):
    assert plan.order({"suite": "smoke", "agents": agents}).agents == ("random", "ppo")


def test_a_limit_of_hours_is_any_number_and_none_where_it_is_not_given():
    assert plan.order({"suite": "smoke", "max_hours": 12}).max_hours == 12.0
    assert plan.order({"suite": "smoke"}).max_hours is None


@pytest.mark.parametrize("suite", suites.names())
def test_every_suite_has_agents_that_exist_where_none_are_named(suite):
    assert plan.order({"suite": suite}).agents


def test_a_value_that_only_the_agent_can_judge_is_refused_before_anything_starts(
    tmp_path, monkeypatch, repository
):
    for room in ("suites", "agents", "launch"):
        shutil.copytree(repository / room, tmp_path / room)
    settings = tmp_path / "agents" / "ppo.yaml"
    settings.write_text(settings.read_text() + "\nbroken:\n  unheard_of: 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plan.check("smoke", ["random", "ppo"])
    with pytest.raises(ValueError, match=r"agents/ppo\.yaml .*unheard_of"):
        plan.check("smoke", ["random", "ppo+broken"])


def test_resources_are_those_of_the_agent_whatever_its_blocks():
    assert plan.resources("random+anything") == plan.resources("random")
    assert plan.resources("unheard_of") == plan.defaults().resources["default"]


def test_first_seeds_start_first_and_then_the_longest_runs():
    demo = suites.load("demo")
    runs = [(agent, seed) for seed in demo.seeds for agent in ("random", "ppo")]
    order = sorted(runs, key=lambda run: -plan.priority(demo, *run))
    assert order == [("ppo", 0), ("random", 0), ("ppo", 1), ("random", 1)]


def test_planning_costs_neither_torch_nor_snakemake():
    code = (
        "import sys, suites; from launch import flow, plan;"
        "plan.survey(suites.load('smoke'), plan.order({'suite': 'smoke'}).agents);"
        "print({'torch', 'snakemake', 'mlflow', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_local_backend_is_that_of_every_run_here(tmp_path, monkeypatch):
    text = (plan.HERE / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("backend: suite ", "backend: envpool "))
    monkeypatch.setattr(plan, "HERE", tmp_path)
    here = plan.load("demo")
    assert here.backend == "envpool"
    run = config.resolve(here, "random", "pong", 0)
    assert run.backend == "envpool"
    assert not config.is_debug(run, here), "its receipt counts for the suite"
    [planned, *_] = plan.survey(here, ["random"], tmp_path)
    assert planned.hash == run.hash
