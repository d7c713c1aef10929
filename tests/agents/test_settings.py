"""Agents found by themselves, their blocks merged: on a throw-away folder and on the real one."""

import subprocess
import sys

import pytest

import agents

MODULE = '''"""An agent of the tests."""

from agents import base


class Config(base.Config):
    rate: float
    deep: dict[str, int]


class Agent:
    pass
'''
YAML = """
defaults:
  view: {size: [64, 64], color: gray, resize: area, stack: 1, reward: raw, life_loss: false,
         fire: false}
  training: {sampling: none, streams: 8}
  rate: 0.5
  deep: {one: 1, two: 2}
demo:
  rate: 0.25
small:
  deep: {one: 10}
  view: {size: [32, 32]}
large:
  deep: {one: 100, two: 200}
wrong:
  raet: 0.5
  training: {streams: 0}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.py").write_text(MODULE)
    (tmp_path / "toy.yaml").write_text(YAML)
    return tmp_path


def merged(folder, *blocks, suite="smoke", sets=None):
    return agents.settings("toy", suite, blocks, sets, folder)


def test_a_new_agent_is_one_module_and_one_yaml(folder):
    (folder / "base.py").write_text("")  # A module without YAML is none,
    (folder / "lonely.yaml").write_text("defaults: {}")  # nor is a YAML without module.
    assert agents.names(folder) == ["toy"]
    assert agents.configure("toy", "smoke", [], folder=folder).rate == 0.5


def test_the_blocks_of_an_agent_are_listed_without_its_defaults(folder):
    assert agents.blocks("toy", folder) == ["demo", "small", "large", "wrong"]


def test_a_block_changes_what_it_names_and_nothing_else(folder):
    small = merged(folder, "small")
    assert small["deep"] == {"one": 10, "two": 2}
    assert small["view"]["size"] == [32, 32]  # A list is replaced, not joined.
    assert small["view"]["color"] == "gray"
    assert small["rate"] == 0.5


def test_the_last_block_that_was_asked_for_wins(folder):
    assert merged(folder, "small", "large")["deep"]["one"] == 100
    assert merged(folder, "large", "small")["deep"] == {"one": 10, "two": 200}


def test_a_block_named_like_the_suite_applies_by_itself_and_first(folder):
    assert merged(folder, suite="demo")["rate"] == 0.25
    assert merged(folder, "small", suite="demo", sets={"rate": 1.0})["rate"] == 1.0


def test_single_values_apply_last(folder):
    assert merged(folder, "large", sets={"deep.one": 7})["deep"] == {"one": 7, "two": 200}


def test_merging_leaves_the_file_as_it_is(folder):
    before = merged(folder)
    merged(folder, "small", sets={"rate": 9})["deep"]["two"] = -1
    assert merged(folder) == before


def test_a_changed_file_is_read_again(folder):
    merged(folder)
    (folder / "toy.yaml").write_text(YAML.replace("rate: 0.5", "rate: 0.75", 1))
    assert merged(folder)["rate"] == 0.75


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: agents.settings("tyo", "demo", [], folder=f), r"unknown agent 'tyo'"),
        (lambda f: agents.load("base", f), r"unknown agent 'base'; allowed are toy"),
        (lambda f: merged(f, "smal"), r"agents/toy.yaml.*'smal'.*did you mean 'small'\?"),
        (lambda f: merged(f, "defaults"), r"unknown block 'defaults'"),
        (lambda f: merged(f, sets={"deep.tow": 1}), r"'deep\.tow'.*did you mean 'deep\.two'\?"),
        (lambda f: merged(f, sets={"rate.x": 1}), r"unknown key 'rate\.x'"),
        (lambda f: merged(f, sets={"deep": 1}), r"several values.*deep\.one, deep\.two"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest(call, said, folder):
    with pytest.raises(ValueError, match=said):
        call(folder)


def test_wrong_values_are_refused_together_and_say_which_blocks_were_used(folder):
    with pytest.raises(ValueError) as caught:
        agents.configure("toy", "demo", ["wrong"], {"deep.one": "x"}, folder)
    message = str(caught.value)
    assert message.startswith("agents/toy.yaml (defaults, demo, wrong, --set deep.one=x): 3 prob")
    assert "raet: unknown key" in message
    assert "did you mean 'rate'?" in message
    assert "training.streams: saw 0" in message
    assert "deep.one: saw 'x'" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds `defaults:`"),
        ("small: {rate: 1.0}", "holds `defaults:`"),
        ("defaults: [1]", "holds `defaults:`"),
        ("defaults: {}\nsmall: 3", "block 'small' holds 3"),
        ("defaults: {}\nSmall+: {}", "block 'Small\\+'"),
        ("defaults: {a: 1, a: 2}", "'a' is there twice"),
        ("defaults: {", "broken YAML"),
    ],
)
def test_a_yaml_that_is_no_agents_is_refused(text, said, folder):
    (folder / "toy.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        merged(folder)


def test_names_blocks_and_settings_import_no_agent():
    code = (
        "import sys, agents\n"
        "for name in agents.names(): agents.blocks(name), agents.settings(name, 'demo', [])\n"
        "print([name for name in sys.modules if name == 'torch' or name.startswith('agents.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", agents.names())
def test_every_agent_is_configured_with_each_of_its_blocks(name):
    module = agents.load(name)
    for blocks in [[], *([block] for block in agents.blocks(name))]:
        assert isinstance(agents.configure(name, "none", blocks), module.Config)
