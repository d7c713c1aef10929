"""The table of games: facts against the emulators and against each other."""

import numpy as np
import pytest

import suites
from suites import games
from suites.records import build

ATARI = [name for name in games.names() if games.load(name).rom]
PLAYED = sorted({game for name in suites.names() for game in suites.load(name).games} & {*ATARI})
FULL_SETS_OF_NINE = {"skiing", "lost_luggage"}


def test_the_57_have_scores_and_the_others_have_none():
    scored = [name for name in ATARI if games.load(name).human is not None]
    assert len(scored) == 57
    assert all(games.load(name).random is not None for name in scored)
    assert all(games.load(name).random is None for name in set(ATARI) - set(scored))


def test_a_human_scores_more_than_random_play():
    scored = [game for game in games.table().values() if game.human is not None]
    assert [game.name for game in scored if game.human <= game.random] == []


def test_every_row_has_a_source():
    assert [name for name, game in games.table().items() if len(game.source) < 10] == []


@pytest.mark.parametrize(
    ("name", "random", "human"),
    [("pong", -20.7, 14.6), ("breakout", 1.7, 30.5), ("seaquest", 68.4, 42054.7)],
)
def test_scores_are_those_of_the_literature(name, random, human):
    assert (games.load(name).random, games.load(name).human) == (random, human)


def test_james_bond_is_not_the_row_that_is_one_column_off():
    game = games.load("jamesbond")
    assert (game.random, game.human) == (29.0, 302.8)
    assert "one column off" in game.notes


def test_disputed_random_scores_are_flagged():
    assert "0.0" in games.load("video_pinball").notes
    assert "228.8" in games.load("alien").notes


def test_the_emulator_has_every_rom_of_a_suite_with_these_action_sets():
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    wrong = {}
    for name in PLAYED:
        game, ale = games.load(name), ale_py.ALEInterface()
        ale.loadROM(ale_py.roms.get_rom_path(game.rom))
        found = (len(ale.getMinimalActionSet()), len(ale.getLegalActionSet()))
        if found != (game.min_actions, game.legal_actions):
            wrong[name] = found
    assert wrong == {}


def test_the_full_action_set_of_skiing_is_nine():
    small = {name for name in ATARI if games.load(name).legal_actions != 18}
    assert small == FULL_SETS_OF_NINE
    assert {games.load(name).legal_actions for name in small} == {9}


def test_envpool_has_every_id():
    envpool = pytest.importorskip("envpool")
    known = set(envpool.list_all_envs())
    assert [name for name in ATARI if games.load(name).envpool_id not in known] == []


def catch_returns(choose) -> float:
    """Returns the expected return of Catch for `choose(paddle, column) -> {action: chance}`."""
    from suites.catch import HEIGHT, HIGH, WIDE, WIDTH, Catch

    catch, skip = Catch(False, np.random.default_rng(0)), 4
    catch.reset()
    start, total = catch.paddle, 0.0
    columns = range(0, WIDTH, WIDE)
    for column in columns:
        chances = {start: 1.0}
        for row in range(0, HEIGHT - HIGH, skip):
            after: dict[int, float] = {}
            for paddle, chance in chances.items():
                for action, weight in choose(paddle, column).items():
                    catch.paddle, catch.row, catch.column = paddle, row, column
                    points = sum(catch.act(action) for _ in range(skip))
                    total += points * chance * weight
                    after[catch.paddle] = after.get(catch.paddle, 0.0) + chance * weight
            chances = after
    return total / len(columns)


def test_random_play_of_catch_is_worth_what_the_table_says():
    exact = catch_returns(lambda paddle, column: dict.fromkeys(range(3), 1 / 3))
    assert games.load("catch").random == pytest.approx(exact, abs=5e-4)


def test_perfect_play_of_catch_is_worth_one_point():
    def follow(paddle: int, column: int) -> dict[int, float]:
        return {0 if column == paddle else 1 if column < paddle else 2: 1.0}

    assert catch_returns(follow) == pytest.approx(games.load("catch").human)


@pytest.mark.parametrize(
    ("typo", "match"),
    [
        ("pogn", "pong"), ("MsPacman", "ms_pacman"), ("ALE/MsPacman-v5", "ms_pacman"),
        ("james_bond", "jamesbond"), ("SpaceInvaders-v5", "space_invaders"), ("Qbert", "qbert"),
    ],
)  # fmt: skip
def test_a_typo_gets_the_nearest_game(typo, match):
    with pytest.raises(ValueError, match=rf"unknown game '{typo}'.*did you mean '{match}'\?"):
        games.load(typo)


def test_a_word_like_no_game_gets_no_match():
    with pytest.raises(ValueError) as caught:
        games.load("pingpong")
    assert "did you mean" not in str(caught.value)


def test_a_game_without_scores_is_still_a_game():
    game = games.load("adventure")
    assert build(games.Game, game.model_dump(mode="json"), "here") == game
    assert game.name in suites.load("atari62").games
    assert game.human is None
