"""Catch: the rules of the game that every other test rests on."""

import numpy as np
import pytest

from suites import games, seeding
from suites.catch import HEIGHT, HIGH, WIDE, WIDTH, Catch
from tests.suites import worlds


def catch(seed: int = 0, rgb: bool = False) -> Catch:
    return Catch(rgb, seeding.generator("catch", seed))


def seen(image: np.ndarray) -> tuple[int, int]:
    """Returns the first column of ball and paddle of a (40, 40) image."""
    return int(image[:-HIGH].any(0).argmax()), int(image[-1].argmax())


def test_who_follows_the_ball_always_catches_it():
    vector = worlds.make("catch", envs=8, size=(HEIGHT, WIDTH), stack=1, pooling=1)
    row, points = vector.step(np.zeros(8, int)), []
    while len(points) < 80:
        columns = np.array([seen(image[..., 0]) for image in row["image"]])
        gap = columns[:, 0] - columns[:, 1]
        action = np.where(gap < 0, 1, np.where(gap > 0, 2, 0))
        row = vector.step(action)
        points += row["points"][row["over"]].tolist()
    assert set(points) == {1.0}


def test_random_play_scores_what_the_table_says():
    vector = worlds.make("catch", envs=64, size=(1, 1), stack=1, noops=(0, 0))
    points = []
    for action in worlds.random_actions(vector, 120):
        row = vector.step(action)
        points += row["points"][row["over"]].tolist()
    error = np.std(points) / len(points) ** 0.5
    assert len(points) == 64 * 12
    assert np.mean(points) == pytest.approx(games.load("catch").random, abs=4 * error)


def test_with_a_frame_skip_of_four_it_is_the_board_of_bsuite():
    vector = worlds.make("catch", envs=8, size=(HEIGHT, WIDTH), stack=1, pooling=1, noops=(0, 0))
    row = vector.step(np.zeros(8, int))
    for step in range(10):
        cells = row["image"][..., 0].reshape(8, 10, 4, 5, 8).transpose(0, 1, 3, 2, 4)
        lit = cells.reshape(8, 10, 5, -1) == 255
        assert (lit.all(-1) == lit.any(-1)).all(), "everything is whole cells"
        assert lit.any(-1)[:, step].any(-1).all(), "the ball falls a row a step"
        assert row["is_last"].all() == (step == 9)
        row = vector.step(np.full(8, step % 3))


def test_the_ball_falls_a_pixel_a_frame_and_the_game_ends_at_the_bottom():
    game = catch()
    for row in range(HEIGHT - HIGH):
        assert (game.row, game.over()) == (row, False)
        points = game.act(0)
        assert (points == 0) == (row < HEIGHT - HIGH - 1)
    assert game.over()
    assert game.act(0) == 0.0, "nothing happens after the end"


@pytest.mark.parametrize("offset", range(-10, 11))
def test_a_ball_is_caught_where_it_touches_the_paddle(offset):
    game = catch()
    game.row, game.paddle = HEIGHT - HIGH - 1, 10
    game.column = 10 + offset
    assert game.act(0) == (1.0 if -WIDE < offset < WIDE else -1.0)


def test_the_paddle_stays_on_the_screen():
    for action, edge in [(1, 0), (2, WIDTH - WIDE)]:
        game = catch()
        for _ in range(HEIGHT):
            game.act(action)
        assert game.paddle == edge


def test_balls_fall_from_every_column():
    game, columns = catch(), []
    for _ in range(1000):
        game.reset()
        columns.append(game.column)
    assert {*columns} == {*range(0, WIDTH, WIDE)}


def test_colour_and_gray_show_the_same():
    gray, colour = catch().screen(), catch(rgb=True).screen()
    assert gray.sum() == 255 * 2 * HIGH * WIDE
    assert np.array_equal(colour, np.repeat(gray[..., None], 3, -1))
