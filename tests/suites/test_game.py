"""What a task and a view do to one game, frame by frame, on an emulator that keeps a diary."""

import itertools

import numpy as np
import pytest

from suites import env, seeding
from suites.game import Game
from tests.suites import worlds

FIRE = 3


class Diary:
    """A game that ends after some frames; every frame is worth one point."""

    actions, noop, fire = 3, 0, FIRE

    def __init__(self, length: int = 1000, lives: tuple[int, ...] = ()):
        """Ends a game after `length` frames; `lives` are those after each of the first frames."""
        self.length, self.left = length, lives
        self.frame, self.shown = 0, 0
        self.diary: list[int | str] = []

    def reset(self) -> None:
        self.frame = 0
        self.diary.append("reset")

    def act(self, action: int) -> float:
        if self.over():
            return 0.0
        self.frame += 1
        self.shown += 1
        self.diary.append(action)
        return 1.0

    def over(self) -> bool:
        return self.frame >= self.length

    def lives(self) -> int:
        return self.left[min(self.frame, len(self.left) - 1)] if self.left else 0

    def screen(self) -> np.ndarray:
        """Returns the number of frames shown so far, modulo 8, as the column that is bright."""
        screen = np.zeros((1, 8), np.uint8)
        screen[0, self.shown % 8] = 255
        return screen

    def save(self) -> dict:
        return {"frame": self.frame, "shown": self.shown}

    def load(self, state: dict) -> None:
        self.frame, self.shown = state["frame"], state["shown"]


class Play:
    """A game on a diary, with the rows that it writes."""

    def __init__(self, emulator: Diary, seed: int = 0, **how):
        how = {"noops": (0, 0), "size": (1, 8), "stack": 1} | how
        given = worlds.settings(**how)
        rng = seeding.generator("game", seed)
        self.emulator = emulator
        self.game = Game(emulator, given.task, given.view, given.training, rng)
        table = env.columns(1, given.view)
        self.rows = {name: np.zeros(shape, kind) for name, (shape, kind) in table.items()}

    def step(self, action: int = 1) -> dict:
        """Returns the row as plain values; of the image, which columns are bright."""
        self.game.step(action, self.rows, 0)
        row = {name: array[0].item() for name, array in self.rows.items() if name != "image"}
        return row | {"bright": np.flatnonzero(self.rows["image"][0].max(-1)).tolist()}


def test_an_action_is_repeated_for_every_frame_of_a_step():
    play = Play(Diary(), frame_skip=3)
    assert play.step()["duration"] == 0
    assert play.step(2) | {"bright": None} == {
        "reward": 3.0, "points": 3.0, "is_first": False, "is_last": False, "is_terminal": False,
        "over": False, "truncated": False, "duration": 3, "lives": 0, "bright": None,
    }  # fmt: skip
    play.step(1)
    assert play.emulator.diary == ["reset", 2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize(("pooling", "bright"), [(1, [4]), (2, [3, 4])])
def test_an_image_is_the_maximum_of_the_last_frames(pooling, bright):
    play = Play(Diary(), pooling=pooling)
    assert play.step()["bright"] == [0]
    assert play.step()["bright"] == bright


def test_a_game_that_ends_within_a_step_plays_no_more_frames():
    play = Play(Diary(length=5))
    play.step()
    play.step()
    row = play.step()
    assert (row["points"], row["duration"]) == (1.0, 5)
    assert row["is_terminal"] and row["is_last"] and row["over"] and not row["truncated"]
    assert row["bright"] == [3, 4], "the frames that were not reached are not rendered"
    assert play.step()["is_first"]
    assert play.emulator.diary == ["reset", *[1] * 5, "reset"]


def test_the_cap_ends_a_game_within_a_step_and_is_no_terminal():
    play = Play(Diary(), cap=6)
    rows = [play.step() for _ in range(4)]
    assert [row["duration"] for row in rows] == [0, 4, 6, 0]
    assert [row["truncated"] for row in rows] == [False, False, True, False]
    assert [row["over"] for row in rows] == [False, False, True, False]
    assert not any(row["is_terminal"] for row in rows)


def test_a_game_that_ends_at_the_cap_is_terminal():
    play = Play(Diary(length=8), cap=8)
    row = [play.step() for _ in range(3)][-1]
    assert row["is_terminal"] and not row["truncated"]


def test_the_cap_is_a_terminal_where_the_quirk_says_so():
    play = Play(Diary(), cap=4, truncation_is_terminal=True)
    play.step()
    row = play.step()
    assert row["is_terminal"] and row["truncated"]


def test_no_ops_are_not_counted_and_survive_the_end_of_a_game():
    play = Play(Diary(length=5), noops=(7, 7), cap=2)
    assert play.step()["duration"] == 0
    assert play.emulator.diary == ["reset", *[0] * 5, "reset", 0, 0]
    assert play.step()["duration"] == 2


def test_a_sticky_frame_repeats_the_action_of_the_frame_before():
    play, chance = Play(Diary(length=10**9), sticky=0.25, cap=10**9), 0.25
    play.step()
    asked = np.random.default_rng(1).integers(3, size=2000)
    for action in asked:
        play.step(int(action))
    wanted = np.repeat(asked, 4)
    done = np.array(play.emulator.diary[1:])
    before = np.array([0, *done[:-1]])
    assert np.isin(done, wanted).all() and ((done == wanted) | (done == before)).all()
    kept = (done != wanted)[before != wanted].mean()
    assert kept == pytest.approx(chance, abs=4 * (0.1875 / (before != wanted).sum()) ** 0.5)
    within = (wanted == np.roll(wanted, 1)) & (done != wanted)
    assert within.any(), "drawn for every frame, not once a step"


def test_a_new_game_does_not_stick_to_the_last_action_of_the_old_one():
    play = Play(Diary(length=4), sticky=0.99)
    for _ in range(60):
        play.step(2)
    diary = play.emulator.diary
    firsts = [action for before, action in itertools.pairwise(diary) if before == "reset"]
    assert firsts.count(0) > 20


@pytest.mark.parametrize(("stale", "bright"), [(False, [[3], [7], [2]]), (True, [[], [7], [7]])])
def test_a_stale_first_frame_is_the_last_one_of_the_game_before(stale, bright):
    play = Play(Diary(), noops=(3, 3), cap=4, pooling=1, stale_first_frame=stale)
    assert [play.step()["bright"] for _ in range(3)] == bright


@pytest.mark.parametrize("training", [True, False])
def test_a_lost_life_ends_an_episode_in_training_only(training):
    lives = (3, 3, 3, 3, 3, 2, 2, 2, 2)
    play = Play(Diary(lives=lives), life_loss=True, training=training)
    rows = [play.step() for _ in range(4)]
    lost = [row["is_last"] and row["is_terminal"] and not row["over"] for row in rows]
    assert lost == [False, False, training, False]
    assert rows[3]["is_first"] == training
    assert rows[3]["points"] == (0 if training else 4), "a life begins without a frame"
    assert rows[3]["bright"] == (rows[2]["bright"] if training else [3, 4])
    assert "reset" not in play.emulator.diary[1:]


@pytest.mark.parametrize(
    ("lives", "ends"),
    [
        ((3, 3, 2, 2, 1), True),  # Two at once are one end.
        ((1, 0, 0, 0, 0), False),  # The game tells of its end itself.
        ((2, 3, 3, 3, 3), False),  # A life is won.
        ((3, 2, 3, 3, 3), False),  # Only the step's end counts.
    ],
)
def test_a_life_is_lost_when_fewer_but_some_are_left(lives, ends):
    play = Play(Diary(lives=lives), life_loss=True)
    play.step()
    assert play.step()["is_last"] == ends


def test_fire_is_pressed_after_a_reset_and_at_every_life():
    play = Play(Diary(lives=(3, 3, 3, 3, 3, 3, 3, 3, 2)), life_loss=True, fire=True)
    first, lost, life = play.step(), play.step(), play.step()
    assert play.emulator.diary == ["reset", *[FIRE] * 4, *[1] * 4, *[FIRE] * 4]
    assert (first["duration"], lost["duration"], life["duration"]) == (0, 4, 4)
    assert lost["is_last"] and life["is_first"]


def test_points_of_fire_in_a_game_under_way_are_not_lost():
    play = Play(Diary(lives=(3, 3, 3, 3, 3, 3, 3, 3, 2), length=10), life_loss=True, fire=True)
    rows = [play.step() for _ in range(4)]
    assert [row["points"] for row in rows] == [0, 4, 2, 0]
    assert [row["reward"] for row in rows] == [0, 4, 0, 0], "a first row has no reward"
    assert rows[3]["over"] and rows[3]["is_terminal"], "the end within FIRE is found by the next"


@pytest.mark.parametrize("how", [{"training": False, "fire": True}, {"fire": False}])
def test_fire_is_not_pressed_unless_asked_for_in_training(how):
    play = Play(Diary(), **how)
    play.step()
    assert play.emulator.diary == ["reset"]


@pytest.mark.parametrize(("reward", "value"), [("raw", 3), ("sign", 1), ("tanh", np.tanh(3.0))])
def test_reward_is_the_points_through_the_views_transform(reward, value):
    play = Play(Diary(), frame_skip=3, reward=reward)
    play.step()
    row = play.step()
    assert (row["reward"], row["points"]) == (pytest.approx(value), 3.0)


def test_a_stack_begins_with_copies_of_the_first_frame():
    play = Play(Diary(length=8), stack=3, pooling=1)
    for columns in ([0, 0, 0], [0, 0, 4], [0, 4, 0], [0, 0, 0]):
        play.step()
        assert play.rows["image"][0, 0].argmax(0).tolist() == columns


def test_a_game_restored_within_a_step_of_its_end_goes_on_exactly():
    how = {"sticky": 0.5, "noops": (0, 3), "cap": 30, "stack": 4, "life_loss": True}
    lives = tuple(9 - frame // 7 for frame in range(50))
    one = Play(Diary(length=25, lives=lives), **how)
    for _ in range(40):
        state, rng = one.game.save(), np.random.default_rng(1)
        other = Play(Diary(length=25, lives=lives), seed=1, **how)
        other.game.load(state)
        actions = rng.integers(3, size=9)
        assert [one.step(int(a)) for a in actions] == [other.step(int(a)) for a in actions]
        assert np.array_equal(one.rows["image"], other.rows["image"])
