"""The contract of a suite, for every YAML file in suites/: a new one is tested by being there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import suites
from suites import games
from suites.records import Record, digest, read_yaml
from suites.suite import FOLDER, Suite
from suites.task import Task

every_suite = pytest.mark.parametrize("name", suites.names())

SIMPLE = """\
title: A suite of the tests
source: ours
frames: 400
seeds: [0, 1]
games: [pong, breakout]
backend: ale
task:
  frame_skip: 4
  pooling: 2
  sticky: 0.25
  actions: minimal
  noops: [0, 30]
  cap: 108_000
  score: game_return
  quirks:
    truncation_is_terminal: false
    stale_first_frame: false
evaluation:
  episodes: 3
  policy: sampled
  at: [0.5, 1.0]
score:
  window: last_of_4_bins
  normalize: human
"""

# One other value for each key of a task; a new key must be added here, or a test fails.
OTHER_TASK = {
    "frame_skip": 3,
    "pooling": 1,
    "sticky": 0.125,
    "actions": {"minimal": "full", "full": "minimal"},
    "noops": [2, 7],
    "cap": 12_345,
    "score": None,  # One value only, so far.
    "quirks.truncation_is_terminal": {False: True, True: False},
    "quirks.stale_first_frame": {False: True, True: False},
}


def written(name: str) -> dict[str, Any]:
    return read_yaml(FOLDER / f"{name}.yaml")


def leaves(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield above + key


def parent_of(tree: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *parents, last = path.split(".")
    for key in parents:
        tree = tree[key]
    return tree, last


def saved(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def refusal(folder: Path, *changes: tuple[str, str]) -> str:
    """Returns the message for the simple suite with these texts replaced."""
    text = SIMPLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ValueError) as caught:
        suites.load(saved(folder, text))
    return str(caught.value)


@every_suite
def test_a_suite_loads_and_is_named_as_its_file(name):
    assert suites.load(name).name == name


@every_suite
def test_a_suite_lists_every_run_once(name):
    suite = suites.load(name)
    runs = [(game, seed) for game in suite.games for seed in suite.seeds]
    assert len(runs) == len(set(runs)) > 0


@every_suite
def test_a_suite_knows_its_games(name):
    assert set(suites.load(name).games) <= set(games.names())


@every_suite
def test_a_normalised_suite_has_a_game_to_normalise(name):
    suite = suites.load(name)
    human = [game for game in suite.games if games.load(game).human is not None]
    assert human or suite.score.normalize == "none"


@every_suite
def test_a_suite_writes_out_every_value(name, tmp_path):
    for leaf in leaves(written(name)):
        data = written(name)
        parent, key = parent_of(data, leaf)
        del parent[key]
        with pytest.raises(ValueError, match=rf"{re.escape(leaf)}: missing"):
            suites.load(saved(tmp_path, json.dumps(data)))


# Ours; a suite of somebody's own owes nobody a source.
SHIPPED = ("atari100k", "atari57", "atari62", "boxing", "demo", "learn", "seaquest", "smoke")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_suite_that_we_ship_gives_a_source_for_every_value(name):
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    values = [
        number
        for number, line in enumerate(lines)
        if re.match(r"\s*(?!title:|source:)\w+:\s*[^\s#]", line)
    ]
    bare = [lines[n] for n in values if "  # " not in lines[n] and not lines[n - 1].startswith("#")]
    assert bare == []
    assert len(values) >= 15


@every_suite
def test_every_key_of_a_suites_task_changes_its_hash(name):
    suite = suites.load(name)
    task = suite.task.model_dump(mode="json")
    assert set(leaves(task)) == set(OTHER_TASK)
    for leaf, other in OTHER_TASK.items():
        if other is None:
            continue
        changed = json.loads(json.dumps(task))
        parent, key = parent_of(changed, leaf)
        parent[key] = other[parent[key]] if isinstance(other, dict) else other
        assert digest(Task.model_validate_json(json.dumps(changed))) != suite.task_digest, leaf


@every_suite
def test_the_hash_of_a_task_ignores_the_order_of_its_keys(name):
    suite = suites.load(name)
    backwards = dict(reversed(suite.task.model_dump(mode="json").items()))
    assert digest(backwards) == suite.task_digest


def test_the_shipped_suites_are_there():
    assert set(SHIPPED) <= set(suites.names())


def test_atari100k_is_100k_agent_steps_of_26_games():
    suite = suites.load("atari100k")
    assert (len(suite.games), suite.frames // suite.task.frame_skip) == (26, 100_000)
    assert (suite.task.sticky, suite.task.actions) == (0.0, "minimal")


def test_atari57_is_200m_frames_with_sticky_actions_from_the_full_set():
    suite = suites.load("atari57")
    assert (len(suite.games), suite.frames) == (57, 200_000_000)
    assert (suite.task.sticky, suite.task.actions, suite.task.cap) == (0.25, "full", 108_000)
    assert set(suite.games) == {
        name for name, game in games.table().items() if game.human is not None and game.rom
    }


def test_atari62_has_62_games_and_says_that_its_source_claims_63():
    suite = suites.load("atari62")
    header = (FOLDER / "atari62.yaml").read_text().split("title:")[0]
    assert len(suite.games) == 62
    assert "63" in header
    assert "has 62" in header
    assert set(suites.load("atari57").games) - set(suite.games) == {"surround"}


def test_seaquest_is_played_as_the_published_figure_was():
    suite = suites.load("seaquest")
    assert suite.games == ("seaquest",)
    assert suite.frames // suite.task.frame_skip == 10_000_000
    assert (suite.task.sticky, suite.task.actions, suite.task.noops) == (0.0, "minimal", (1, 30))


def test_learn_is_catch_where_every_ball_starts_at_the_top_and_counts_alike():
    suite = suites.load("learn")
    assert (suite.games, len(suite.seeds), suite.task.noops) == (("catch",), 3, (0, 0))
    assert (suite.score.window, suite.score.normalize) == ("last_100_episodes", "none")


def test_boxing_is_the_task_of_atari100k_for_at_least_20k_agent_steps():
    suite = suites.load("boxing")
    assert suite.task_digest == suites.load("atari100k").task_digest
    assert suite.frames // suite.task.frame_skip >= 20_000
    assert len(suite.seeds) >= 3


def test_both_backends_can_play_the_demo():
    assert suites.load("demo").task.noops[0] >= 1  # envpool knows no zero.


def test_a_new_suite_is_one_file(tmp_path):
    saved(tmp_path, SIMPLE)
    assert suites.suite.names(tmp_path) == ["mine"]
    assert suites.suite.load("mine", tmp_path).frames == 400


def test_an_unknown_suite_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown suite 'atari10k'.*did you mean 'atari100k'\?"):
        suites.load("atari10k")


def test_no_record_of_a_suite_has_a_default():
    def records(record: type[Record]) -> Iterator[type[Record]]:
        yield record
        for field in record.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Record):
                yield from records(field.annotation)

    found = list(records(Suite))
    assert len(found) == 5  # Suite, Task, Quirks, Evaluation, Score.
    assert all(field.is_required() for record in found for field in record.model_fields.values())


REFUSED = {
    "unknown key": (("  sticky: 0.25", "  sticky: 0.25\n  stiky: 0.5"), "task.stiky", "'sticky'"),
    "missing key": (("  cap: 108_000\n", ""), "task.cap", "missing", "above 0"),
    "unknown game": (("pong,", "pogn,"), "games", "'pogn'", "games.csv", "mean 'pong'"),
    "duplicate game": (("pong, breakout", "pong, pong"), "games", "'pong' more than once"),
    "duplicate seed": (("[0, 1]", "[1, 1]"), "seeds", "1 more than once"),
    "no seed": (("[0, 1]", "[]"), "seeds", "at least 1"),
    "negative seed": (("[0, 1]", "[-1]"), "seeds[0]", "-1", "at least 0"),
    "a number of seeds": (("[0, 1]", "5"), "seeds", "saw 5", "a list"),
    "zero budget": (("frames: 400", "frames: 0"), "frames", "saw 0", "above 0"),
    "half a step": (("frames: 400", "frames: 402"), "402", "multiple of frame_skip"),
    "1e6 as text": (("frames: 400", "frames: 1e6"), "frames", "'1e6' (text)", "write 1_000_000"),
    "4e-1 as text": (("sticky: 0.25", "sticky: 4e-1"), "task.sticky", "write 4.0e-1"),
    "a float budget": (("frames: 400", "frames: 4.0e+6"), "frames", "whole", "write 4_000_000"),
    "no as false": (("actions: minimal", "actions: no"), "task.actions", "false", "quote it"),
    "a game called no": (("pong,", "no,"), "games[0]", "false", "quote it"),
    "near choice": (("actions: minimal", "actions: minmal"), "'full'", "mean 'minimal'"),
    "sticky of 1": (("sticky: 0.25", "sticky: 1.0"), "task.sticky", "below 1"),
    "not a number": (("sticky: 0.25", "sticky: .nan"), "task.sticky", "nan"),
    "pooling beyond skip": (("frame_skip: 4", "frame_skip: 1"), "task.pooling", "frame_skip (1)"),
    "no-ops backwards": (("[0, 30]", "[30, 0]"), "task.noops", "[30, 0]", "from <= to"),
    "no-ops of three": (("[0, 30]", "[0, 1, 2]"), "task.noops", "list of 2"),
    "points backwards": (("[0.5, 1.0]", "[1.0, 0.5]"), "evaluation.at", "increase"),
    "point beyond the end": (("[0.5, 1.0]", "[1.5]"), "evaluation.at[0]", "at most 1"),
    "evaluation at no point": (("[0.5, 1.0]", "[]"), "evaluation.at", "episodes: 3"),
    "points of no evaluation": (("episodes: 3", "episodes: 0"), "evaluation.at", "episodes: 0"),
    "no window": (("last_of_4_bins", "last_4_bins"), "score.window", "last_of_<K>_bins"),
    "window beyond the end": (("last_of_4_bins", "at_999999_frames"), "score", "frame up to that"),
    "window of nothing": (("last_of_4_bins", "last_of_0_bins"), "score.window", "last_of_0_bins"),
    "a mapping as text": (("task:\n", "task: easy\nold:\n"), "task", "'easy'", "frame_skip,"),
    "twice the same key": (("seeds:", "frames: 8\nseeds:"), "line 4", "'frames'", "twice"),
    "broken YAML": (("[0, 1]", "[0, 1"), "broken YAML at line"),
    "a key that YAML changes": (("seeds:", "no: 3\nseeds:"), "line 4", "'no' is read as False"),
    "a name": (("title:", "name: demo\ntitle:"), "name", "leave it out"),
    "an empty title": (("title: A suite of the tests", "title: ''"), "title", "at least 1 char"),
    "an octal": (("frames: 400", "frames: 0400"), "frames", "'0400' (text)", "write 400"),
    "a clock time": (("cap: 108_000", "cap: 30:00"), "task.cap", "'30:00' (text)"),
    "an empty file": ((SIMPLE, ""), "saw nothing", "title, source"),
    "a list": ((SIMPLE, "- pong"), "['pong'] (list)", "title, source"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_a_wrong_suite_is_refused_in_a_message_with_file_key_and_what_is_allowed(change, tmp_path):
    message = refusal(tmp_path, change[0])
    assert message.startswith(str(tmp_path / "mine.yaml"))
    assert [part for part in change[1:] if part not in message] == []


def test_several_problems_are_listed_in_one_message(tmp_path):
    message = refusal(
        tmp_path, ("frames: 400", "frames: 1e6"), ("[0, 1]", "[0, 0]"), ("pong,", "pogn,"),
        ("  cap: 108_000\n", ""), ("policy: sampled", "polciy: sampled"),
    )  # fmt: skip
    assert "6 problems" in message
    keys = ["frames", "seeds", "games", "task.cap", "evaluation.policy", "evaluation.polciy"]
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == [f"- {key}" for key in keys]


def test_an_unknown_and_a_repeated_game_are_told_together(tmp_path):
    message = refusal(tmp_path, ("pong, breakout", "pong, pong, breakuot"))
    assert "'breakout'" in message
    assert "'pong' more than once" in message


def test_a_word_that_is_like_nothing_gets_no_match(tmp_path):
    assert "did you mean" not in refusal(tmp_path, ("pong,", "pingpong,"))


def test_a_file_name_that_is_no_folder_name_is_refused(tmp_path):
    path = tmp_path / "My Suite.yaml"
    path.write_text(SIMPLE)
    with pytest.raises(ValueError, match="lowercase letters, digits and _"):
        suites.load(path)


def test_a_suite_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no\.yaml: there is no such file"):
        suites.load(tmp_path / "no.yaml")
