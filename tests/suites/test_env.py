"""The vector contract on both backends: every option is honoured or refused, flags are right."""

import functools
import itertools

import numpy as np
import pytest

from suites import emulators, env
from suites.task import Quirks, Task
from suites.view import View
from tests.suites import worlds

BACKENDS = ["ale", "envpool"]
GAME = "asteroids"
# These score more than one point and lose a life; the game has 14 actions, or 18.
ACTIONS = np.random.default_rng(29).integers(14, size=(40, 1))
CAPPED = {"cap": 120}
LIVES = {"life_loss": True}
# Option, what else is set, the value that everybody else has, and the one under test.
OPTIONS = [
    ("frame_skip", {}, 4, 2),
    ("pooling", {}, 2, 1),
    ("actions", {}, "minimal", "full"),
    ("noops", {}, (1, 1), (7, 7)),
    ("cap", {}, 10_000, 120),
    ("cap", {}, 120, 122),
    ("truncation_is_terminal", CAPPED, False, True),
    ("stale_first_frame", CAPPED, False, True),
    ("size", {}, (84, 84), (64, 48)),
    ("color", {}, "gray", "rgb"),
    ("color", {"size": (64, 64)}, "gray", "gray_from_rgb"),
    ("resize", {}, "area", "bilinear"),
    ("resize", {"color": "rgb"}, "area", "bilinear"),
    ("stack", {}, 2, 4),
    ("stack", {}, 2, 1),
    ("reward", {}, "raw", "sign"),
    ("reward", {}, "raw", "tanh"),
    ("life_loss", {}, False, True),
    ("fire", LIVES, False, True),
    ("training", LIVES, True, False),
    ("training", {"fire": True}, True, False),
]
REFUSED = {  # By envpool.
    ("pooling", 1), ("noops", (7, 7)), ("cap", 122), ("stale_first_frame", True),
    ("resize", "bilinear"), ("fire", True),
}  # fmt: skip
ELSEWHERE = {"sticky", "score", "quirks"}  # Has a test of its own; has one value; holds others.


@functools.cache
def expected(**asked) -> list[worlds.Rows]:
    return worlds.expected(GAME, ACTIONS[:, 0], **asked)


def test_every_option_is_under_test():
    options = {*Task.model_fields, *Quirks.model_fields, *View.model_fields, "training"}
    assert {option for option, *_ in OPTIONS} == options - ELSEWHERE


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("option", "others", "usual", "value"), OPTIONS)
def test_an_option_is_honoured_or_refused_by_name(backend, option, others, usual, value):
    asked = others | {option: value}
    if backend == "envpool" and (option, value) in REFUSED:
        with pytest.raises(ValueError, match=rf"envpool cannot honour[^$]*\.{option}: saw "):
            worlds.make(GAME, backend, **asked)
        return
    vector = worlds.make(GAME, backend, **asked)
    wanted = expected(**asked)
    ignored = expected(**(others | {option: usual}))
    exact = "bilinear" in asked.values()
    assert worlds.difference(ignored, wanted, exact), (
        "these steps cannot tell whether it is ignored"
    )
    assert worlds.difference(worlds.play(vector, ACTIONS), wanted, exact) == []
    assert vector.obs_space["image"].shape == wanted[0]["image"].shape[-3:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_sticky_actions_are_drawn_for_every_frame_and_forgotten_at_a_reset(backend):
    chance, right = 0.3, 2
    outcomes = {  # Of two frames that begin a game of Pong.
        ("stay", "stay"): chance**2,
        ("stay", "right"): chance * (1 - chance),
        ("right", "right"): 1 - chance,
    }
    pong = emulators.make("pong", "minimal", False, 0)
    names = {}
    for pair in outcomes:
        pong.reset()
        pong.act(pong.noop)
        for word in pair:
            pong.act(right if word == "right" else pong.noop)
        names[pong.ram().tobytes()] = pair
    short = {"frame_skip": 2, "cap": 2, "stack": 1, "size": (8, 8)}
    vector = worlds.make("pong", backend, envs=20, sticky=chance, **short)
    seen = []
    for _ in range(10):
        vector.step(np.full(20, right))  # Resets.
        assert vector.step(np.full(20, right))["truncated"].all()
        seen += [names[memory.tobytes()] for memory in worlds.ram(vector)]
    for pair, share in outcomes.items():
        error = (share * (1 - share) / len(seen)) ** 0.5
        assert seen.count(pair) / len(seen) == pytest.approx(share, abs=4 * error), pair


@pytest.mark.parametrize(
    ("backend", "noops"), [("ale", (0, 2)), ("ale", (3, 4)), ("envpool", (1, 3))]
)
def test_no_ops_are_uniform_in_their_range_both_ends_included(backend, noops):
    pong, names = emulators.make("pong", "minimal", False, 0), {}
    pong.reset()
    for count in range(6):
        names[pong.ram().tobytes()] = count
        pong.act(pong.noop)
    short = {"frame_skip": 2, "cap": 2, "stack": 1, "size": (8, 8)}
    vector = worlds.make("pong", backend, envs=10, noops=noops, **short)
    seen = []
    for _ in range(6):
        vector.step(np.zeros(10, int))
        seen += [names[memory.tobytes()] for memory in worlds.ram(vector)]
        vector.step(np.zeros(10, int))
    wanted = range(noops[0], noops[1] + 1)
    assert set(seen) == {*wanted}
    assert min(seen.count(count) for count in wanted) > len(seen) / len(wanted) / 2


def check_flags(before: worlds.Rows, row: worlds.Rows) -> None:
    """Checks a row against the one before it."""
    first, new_game = row["is_first"], before["over"]
    assert np.array_equal(first, before["is_last"]), "each environment resets by itself, at once"
    played = row["duration"] - before["duration"]
    assert (row["duration"][new_game] == 0).all()
    assert (played[first & ~new_game] == 0).all(), "a life begins without a frame"
    assert (played[~first] >= 1).all() and (played[~first] <= 4).all()
    assert (row["reward"][first] == 0).all() and not row["is_last"][first].any()
    assert (row["is_last"] >= row["is_terminal"]).all() and (row["is_last"] >= row["over"]).all()
    lost = ~first & (row["lives"] < before["lives"])
    assert np.array_equal(row["is_terminal"], row["is_last"] & (~row["truncated"] | lost))
    older, newer = row["image"][..., :-1], before["image"][..., 1:]
    assert np.array_equal(older[~first], newer[~first]), "the last image of an episode is kept"
    opening = row["image"][first]
    assert (opening == opening[..., :1]).all(), "no image shows two episodes"


@pytest.mark.parametrize(
    ("backend", "game"), [("ale", "catch"), ("ale", "breakout"), ("envpool", "breakout")]
)
def test_flags_open_and_close_and_no_row_mixes_two_episodes(backend, game):
    if game == "catch":
        how = {"noops": (0, 20), "cap": 30}
    else:
        how = {"noops": (1, 30), "cap": 400, "sticky": 0.25, "life_loss": True}
    vector = worlds.make(game, backend, envs=3, stack=3, **how)
    rows = worlds.play(vector, worlds.random_actions(vector, 240))
    assert rows[0]["is_first"].all()
    for before, row in itertools.pairwise(rows):
        check_flags(before, row)
    ends = np.stack([row["is_last"] for row in rows])
    assert (ends.any(1) & ~ends.all(1)).any(), "some environment ends alone"
    kinds = {
        "truncated": any(row["truncated"].any() for row in rows),
        "lives": any((row["is_last"] & ~row["over"]).any() for row in rows),
        "game over": any((row["over"] & ~row["truncated"]).any() for row in rows),
    }
    assert kinds == {"truncated": True, "lives": game != "catch", "game over": game == "catch"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_environment_that_ends_alone_resets_alone(backend):
    how = {"life_loss": True, "cap": 600}
    vector = worlds.make("breakout", backend, envs=3, **how)
    actions = worlds.random_actions(vector, 160)
    actions[:, 0] = 1  # FIRE and nothing else: it loses its lives long before the others.
    rows = worlds.play(vector, actions)
    assert any(row["over"][0] and not row["over"].any(where=[False, True, True]) for row in rows)
    for index in range(3):
        alone = [{name: array[index : index + 1] for name, array in row.items()} for row in rows]
        wanted = worlds.expected("breakout", actions[:, index], **how)
        for row in alone + wanted:
            if row["over"][0]:  # The step may end within; see suites.envpool.
                row["image"], row["duration"] = row["image"] * 0, row["duration"] * 0
        assert worlds.difference(alone, wanted, exact=False) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_game_that_ends_in_the_step_of_its_cap_is_not_truncated(backend):
    fire = [1] * 130
    end = next(t for t, row in enumerate(worlds.expected("breakout", fire)) if row["over"][0])
    vector = worlds.make("breakout", backend, cap=4 * end, size=(8, 8))
    row = worlds.play(vector, np.array(fire[: end + 1])[:, None])[-1]
    assert row["over"][0] and row["is_terminal"][0] and not row["truncated"][0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_episode_returns_are_raw_points_of_all_lives(backend):
    shaped = worlds.make("qbert", backend, reward="sign", life_loss=True, size=(8, 8))
    actions = np.random.default_rng(0).integers(6, size=400)
    answers, total, lost = iter(actions), 0.0, -1
    row = shaped.step(actions[:1])
    while not row["over"][0]:
        ignored = row["is_last"][0]
        lost += ignored
        row = shaped.step(np.array([0 if ignored else next(answers)]))
        total += row["points"][0]
    played = worlds.expected("qbert", [0, *actions], size=(8, 8))
    end = next(t for t, row in enumerate(played) if row["over"][0])
    assert end == len(actions) - len(list(answers)), "a life costs no agent step"
    assert total == sum(row["points"][0] for row in played[: end + 1]) > 25 * lost > 25


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_full_action_set_of_skiing_is_nine(backend):
    assert worlds.make("skiing", backend, actions="full").act_space.n == 9
    assert worlds.make("skiing", backend).act_space.n == 3


def test_unknown_games_and_backends_are_refused_by_name():
    with pytest.raises(ValueError, match="did you mean 'pong'"):
        worlds.make("pogn")
    with pytest.raises(ValueError, match="'gym' is not one of ale, envpool"):
        worlds.make("pong", "gym")


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_are_as_declared(backend):
    vector = worlds.make("pong", backend, envs=2, color="rgb", stack=3, size=(16, 8))
    rows = vector.step(np.zeros(2, int))
    declared = env.columns(2, worlds.view(color="rgb", stack=3, size=(16, 8)))
    assert {name: (array.shape, array.dtype) for name, array in rows.items()} == declared
    assert all(vector.obs_space["image"].contains(image) for image in rows["image"])
    vector.close()
    vector.close()
