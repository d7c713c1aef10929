"""A run's configuration: labels, hashes that mean equal numbers, refusals before a start."""

import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import suites
from launch import config
from suites.records import build

DEMO = suites.load("demo")
WORDS = st.from_regex(agents.NAME, fullmatch=True).filter(lambda word: len(word) < 20)
SCALARS = (
    st.booleans()
    | st.none()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["gray", "rgb", "bfloat16", "1e-5", "a.b", "x_y"])
)


def refused(*args, **options) -> str:
    with pytest.raises(ValueError) as caught:
        config.resolve(*args, **options)
    return str(caught.value)


def suite_with(**changes) -> suites.Suite:
    return build(suites.Suite, DEMO.model_dump(mode="json") | changes, "a test")


@given(WORDS, st.lists(WORDS, unique=True, max_size=3), st.dictionaries(WORDS, SCALARS, max_size=3))
def test_a_label_is_read_back_as_it_was_written(agent, blocks, sets):
    label = config.Label(agent, tuple(blocks), tuple(sorted(sets.items())))
    if len(str(label)) > config.LONGEST:
        return
    again = config.parse_label(str(label))
    assert again == label
    assert [type(value) for _, value in again.sets] == [type(value) for _, value in label.sets]


@given(WORDS, st.lists(WORDS, unique=True, max_size=3), st.dictionaries(WORDS, SCALARS, max_size=3))
def test_a_label_is_safe_as_the_name_of_a_folder(agent, blocks, sets):
    label = str(config.Label(agent, tuple(blocks), tuple(sorted(sets.items()))))
    assert not set(label) & set("/\\\0 \n\t'\"$*?<>|&;()[]{}~`!#:")
    assert label[0] not in ".-"


def test_one_setting_has_one_label_however_it_was_typed():
    typed = ["clip=0.10", "learning_rate=0.00001", "training.streams=+8"]
    label = config.parse_label("ppo+float32", typed)
    assert str(label) == "ppo+float32,clip=0.1,learning_rate=1.0e-05,training.streams=8"
    assert config.parse_label("ppo+float32,clip=0.1", typed[:0:-1]) == label


@pytest.mark.parametrize(
    ("text", "sets", "said"),
    [
        ("ppo+", (), "saw ''"),
        ("", (), "saw ''"),
        ("../ppo", (), "saw '../ppo'"),
        ("PPO", (), "lowercase letters"),
        ("ppo+a+a", (), "'a' is there twice"),
        ("ppo", ("a=1", "a=2"), "'a' is there twice"),
        ("ppo,a=1", ("a=2",), "'a' is there twice"),
        ("ppo", ("a",), "key=value"),
        ("ppo", ("a=",), "saw ''"),
        ("ppo", ("=1",), "key=value"),
        ("ppo", ("a..b=1",), "dotted key"),
        ("ppo", ("a=[1, 2]",), "not a list"),
        ("ppo", ("a=../b",), "part of a folder's name"),
        ("ppo", ("a='1'",), "part of a folder's name"),
        ("ppo", ("a=.inf",), "part of a folder's name"),
        ("ppo", ("a=[",), "broken YAML"),
        ("ppo", ("a=" + "x" * 300,), "allowed are 200"),
    ],
)
def test_what_is_no_label_is_refused(text, sets, said):
    with pytest.raises(ValueError) as caught:
        config.parse_label(text, sets)
    assert said in str(caught.value)


@pytest.mark.parametrize("agent", agents.names())
@pytest.mark.parametrize("suite", suites.names())
def test_a_run_of_every_agent_on_every_suite_resolves_to_its_light_hash(agent, suite):
    game = suites.load(suite).games[0]
    for label in [agent, *(f"{agent}+{block}" for block in agents.blocks(agent))]:
        run = config.resolve(suite, label, game, 0)
        assert run.hash == config.light_hash(suite, label, game, 0)


def test_a_run_survives_json():
    run = config.resolve("demo", "ppo", "pong", 1, frames=4_000, sets=["clip=0.2"])
    text = json.dumps(run.model_dump(mode="json"))
    assert config.RunConfig.model_validate_json(text) == run
    assert run.agent_config["clip"] == 0.2
    assert (run.suite, run.agent, run.game, run.seed) == ("demo", "ppo,clip=0.2", "pong", 1)


def test_the_hash_is_the_same_in_every_process():
    code = "from launch import config; print(config.light_hash('demo', 'ppo', 'pong', 0))"
    here = config.resolve("demo", "ppo", "pong", 0).hash
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_the_light_hash_needs_no_torch():
    code = (
        "import sys; from launch import config; config.light_hash('demo', 'ppo', 'pong', 0); "
        "print(sorted({'torch', 'mlflow', 'snakemake', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_sweep_of_57_games_5_agents_and_5_seeds_is_hashed_in_seconds():
    suite = suites.load("atari57")
    begun = time.process_time()
    points = [(game, seed) for game in suite.games for seed in suite.seeds for _ in range(5)]
    hashes = {config.light_hash(suite, "ppo", game, seed) for game, seed in points}
    assert len(hashes) == 57 * 5
    assert time.process_time() - begun < 5


CHANGED = {
    "suite": {"suite": suite_with(name="other")},
    "label": {"label": "ppo+float32"},
    "value": {"sets": ["clip=0.2"]},
    "game": {"game": "breakout"},
    "seed": {"seed": 1},
    "frames": {"frames": 4_000},
    "backend": {"backend": "envpool"},
    "task": {"suite": suite_with(task=DEMO.task.model_dump(mode="json") | {"sticky": 0.25})},
    "view": {"sets": ["view.stack=1"]},
    "evaluation": {"suite": suite_with(evaluation={"episodes": 9, "policy": "greedy", "at": [1]})},
    "score": {"suite": suite_with(score={"window": "last_7_episodes", "normalize": "none"})},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_whatever_decides_a_number_changes_the_hash(change):
    asked = {"suite": DEMO, "label": "ppo", "game": "pong", "seed": 0}
    assert config.light_hash(**(asked | change)) != config.light_hash(**asked)


@pytest.mark.parametrize(
    "change", [{"title": "Other"}, {"source": "other"}, {"seeds": [0, 7]}, {"games": ["pong"]}]
)
def test_what_decides_no_number_of_this_run_leaves_the_hash(change):
    plain = config.light_hash(DEMO, "ppo", "pong", 0)
    assert config.light_hash(suite_with(**change), "ppo", "pong", 0) == plain


def test_task_and_view_have_hashes_of_their_own():
    run = config.resolve(DEMO, "ppo", "pong", 0)
    assert run.task_hash == DEMO.task_digest
    other = config.resolve(DEMO, "ppo", "breakout", 1, sets=["clip=0.2"])
    assert (other.task_hash, other.view_hash) == (run.task_hash, run.view_hash)
    seen = config.resolve(DEMO, "ppo", "pong", 0, sets=["view.stack=1"])
    assert seen.task_hash == run.task_hash
    assert seen.view_hash != run.view_hash
    assert seen.view.stack == 1


def test_a_run_as_the_suite_has_it_is_no_debug_run():
    assert not config.is_debug(config.resolve(DEMO, "ppo+float32", "pong", 0), DEMO)
    same = config.resolve(DEMO, "ppo", "pong", 0, frames=DEMO.frames, backend=DEMO.backend)
    assert not config.is_debug(same, DEMO)


@pytest.mark.parametrize(
    "asked", [{"frames": 4_000}, {"backend": "envpool"}, {"sets": ["clip=0.2"]}]
)
def test_a_run_with_values_of_its_own_is_a_debug_run(asked):
    assert config.is_debug(config.resolve(DEMO, "ppo", "pong", 0, **asked), DEMO)


def test_a_run_with_a_seed_of_its_own_is_a_debug_run():
    assert config.is_debug(config.resolve(DEMO, "ppo", "pong", 99), DEMO)


@pytest.mark.parametrize(
    ("asked", "options", "said"),
    [
        (("dmo", "ppo", "pong", 0), {}, ["unknown suite 'dmo'", "did you mean 'demo'?"]),
        (("demo", "pppo", "pong", 0), {}, ["unknown agent 'pppo'", "did you mean 'ppo'?"]),
        (("demo", "ppo+flot32", "pong", 0), {}, ["agents/ppo.yaml", "did you mean 'float32'?"]),
        (("demo", "ppo", "pogn", 0), {}, ["unknown game 'pogn'", "did you mean 'pong'?"]),
        (("demo", "ppo", "seaquest", 0), {}, ["not in suite demo", "pong, breakout"]),
        (("demo", "ppo", "pong", -1), {}, ["seed: saw -1", "at least 0"]),
        (("demo", "ppo", "pong", 0), {"frames": 0}, ["frames: saw 0", "above 0"]),
        (("demo", "ppo", "pong", 0), {"frames": 9}, ["multiple of frame_skip"]),
        (("demo", "ppo", "pong", 0), {"backend": "envpol"}, ["backend", "mean 'envpool'?"]),
        (("demo", "ppo", "pong", 0), {"sets": ["cilp=1"]}, ["'cilp'", "did you mean 'clip'?"]),
        (("demo", "ppo", "pong", 0), {"sets": ["view=1"]}, ["several values", "view.size"]),
        (("demo", "ppo", "pong", 0), {"sets": ["view.size=1"]}, ["view.size", "list of 2"]),
        (("demo", "ppo", "pong", 0), {"sets": ["view.size.x=1"]}, ["unknown key 'view.size.x'"]),
        (("demo", "ppo", "pong", 0), {"sets": ["discount=2.0"]}, ["--set discount=2.0", "at most"]),
        (("demo", "ppo", "pong", 0), {"sets": ["clip=1e-1"]}, ["clip", "write 1.0e-1"]),
        (("demo", "ppo", "pong", 0), {"sets": ["view.color=grey"]}, ["mean 'gray'?"]),
    ],
)
def test_a_wrong_run_is_refused_with_what_is_allowed_and_the_nearest(asked, options, said):
    message = refused(*asked, **options)
    assert [part for part in said if part not in message] == []


def test_a_view_that_is_wrong_is_refused_without_the_agents_module():
    with pytest.raises(ValueError, match=r"agents/ppo\.yaml.*view\.color: saw 'grey'"):
        config.light_hash("demo", "ppo", "pong", 0, sets=["view.color=grey"])


def test_several_wrong_values_of_an_agent_are_told_together():
    message = refused("demo", "ppo", "pong", 0, sets=["discount=2.0", "training.streams=0"])
    assert "2 problems" in message
    assert "training.streams" in message


def kept(folder, **changes):
    run = config.resolve("demo", "ppo", "pong", 0).model_dump(mode="json")
    path = folder / "config.json"
    path.write_text(json.dumps(run | {"runtime": {"threads": 1}} | changes))
    return path


def test_a_kept_configuration_is_read_back(tmp_path):
    assert config.read(kept(tmp_path)) == config.resolve("demo", "ppo", "pong", 0)


@pytest.mark.parametrize("change", [{"frames": 4_000}, {"seed": 3}, {"hash": "0" * 16}])
def test_a_configuration_that_was_changed_by_hand_is_refused(change, tmp_path):
    with pytest.raises(ValueError, match=r"config\.json: its content is not what its hash"):
        config.read(kept(tmp_path, **change))


def test_a_configuration_with_a_key_too_many_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json: sede: unknown key.*mean 'seed'"):
        config.read(kept(tmp_path, sede=1))


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_configuration_that_cannot_be_read_is_refused(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        config.read(path)
    with pytest.raises(ValueError, match="cannot be read"):
        config.read(tmp_path / "none" / "config.json")


def test_what_a_backend_cannot_honour_is_refused_before_a_folder_exists():
    with pytest.raises(ValueError, match=r"task.noops: saw \[0, 30\]; allowed is \[1, n\]"):
        config.resolve("atari100k", "ppo", "pong", 0, backend="envpool")
    assert config.resolve("demo", "ppo", "pong", 0, backend="envpool").backend == "envpool"
