"""The envpool backend: the same games as ale, and a refusal by name of what it cannot do."""

import numpy as np
import pytest

from suites import envpool
from tests.suites import worlds

GRAY = {"size": (84, 84), "color": "gray"}
RGB = {"size": (64, 64), "color": "rgb"}
GAMES = {
    "alien": GRAY, "asterix": RGB, "boxing": GRAY, "breakout": RGB, "freeway": GRAY,
    "ms_pacman": RGB, "pong": GRAY, "qbert": RGB, "riverraid": GRAY, "seaquest": RGB,
    "space_invaders": GRAY, "backgammon": GRAY,
}  # fmt: skip


@pytest.mark.parametrize(("game", "look"), [*GAMES.items(), ("skiing", GRAY | {"actions": "full"})])
def test_both_backends_play_the_same_game(game, look):
    how = {"stack": 1, "cap": 600, "life_loss": True} | look
    ale, pool = (worlds.make(game, backend, **how) for backend in ("ale", "envpool"))
    assert ale.act_space == pool.act_space
    opened, lasting = 0, 0
    for action in np.random.default_rng(0).integers(ale.act_space.n, size=(220, 1)):
        ours, theirs = ale.step(action), pool.step(action)
        assert np.array_equal(worlds.ram(ale), worlds.ram(pool))
        same = [*ours]
        if ours["over"][0] and not ours["truncated"][0]:
            same = [name for name in ours if name not in ("image", "duration")]  # Ends in a step.
        one, other = ([{name: row[name] for name in same}] for row in (ours, theirs))
        assert worlds.difference(one, other, exact=False) == []
        opened += ours["is_first"][0] and ours["duration"][0] == 0
        lasting += "image" in same
    assert opened > 1 and lasting > 200


def refusal(game: str = "pong", **how) -> str:
    with pytest.raises(ValueError) as caught:
        worlds.make(game, "envpool", **how)
    return str(caught.value)


def test_one_message_names_every_setting_that_cannot_be_honoured():
    message = refusal(
        frame_skip=4, cap=1001, pooling=1, noops=(0, 30), stale_first_frame=True,
        resize="bilinear", size=(211, 64), fire=True,
    )  # fmt: skip
    assert message.splitlines() == [
        "backend envpool cannot honour (backend ale can):",
        "- task.pooling: saw 1; allowed is 2",
        "- task.noops: saw [0, 30]; allowed is [1, n]",
        "- task.cap: saw 1001; allowed are multiples of frame_skip (4) of at most 2147483646 agent "
        "steps",
        "- task.quirks.stale_first_frame: saw true; allowed is false",
        "- view.resize: saw 'bilinear'; allowed is 'area'",
        "- view.size: saw [211, 64]; allowed is at most [210, 160]",
        "- view.fire: saw true; allowed in training is false",
    ]


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({"pooling": 1}, "task.pooling"),
        ({"noops": (0, 0)}, "task.noops"),
        ({"noops": (2, 30)}, "task.noops"),
        ({"cap": 1001}, "task.cap"),
        ({"cap": 2**33}, "task.cap"),
        ({"stale_first_frame": True}, "task.quirks.stale_first_frame"),
        ({"resize": "bilinear"}, "view.resize"),
        ({"size": (84, 161)}, "view.size"),
        ({"fire": True}, "view.fire"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused_alone(how, name):
    first, *others = refusal(**how).splitlines()[1:]
    assert first.startswith(f"- {name}: saw ") and not others


@pytest.mark.parametrize(
    ("game", "why"),
    [("catch", "does not have it"), ("air_raid", r"draws (250, 160); envpool reads (210, 160)")],
)
def test_a_game_that_it_does_not_have_whole_is_refused(game, why):
    assert why in refusal(game)


def test_fire_of_the_view_is_no_obstacle_where_it_does_not_apply():
    row = worlds.make("breakout", "envpool", fire=True, training=False).step(np.zeros(1, int))
    assert row["is_first"].all()


def test_no_default_of_envpool_decides_anything():
    import envpool as package

    options = envpool.options(worlds.task(), worlds.view(), 3, 1)
    spec = package.make_spec("Pong-v5", seed=[1, 2, 3], **options)
    ours = {"task", "base_path", "seed", "env_seed"}  # Game, its files and the seeds.
    assert {*spec.config._fields} - ours == {*options}
    assert {name: getattr(spec.config, name) for name in options} == pytest.approx(options)


def test_the_number_of_threads_changes_nothing():
    how = {"envs": 4, "noops": (1, 30), "sticky": 0.25, "cap": 120}
    vectors = [worlds.make("breakout", "envpool", workers=n, **how) for n in (0, 1, 3)]
    actions = worlds.random_actions(vectors[0], 40)
    one, *others = [worlds.play(vector, actions) for vector in vectors]
    assert [worlds.difference(one, other) for other in others] == [[], []]
    assert any((row["image"][0] != row["image"][1]).any() for row in one), "each has its own seed"


def openings(vector) -> list[bytes]:
    """Returns how the games of 6 environments begin: by their no-ops."""
    assert vector.step(np.zeros(6, int))["is_first"].all()
    return [memory.tobytes() for memory in worlds.ram(vector)]


def test_after_a_restart_other_games_begin_everywhere():
    how = {"envs": 6, "noops": (1, 30), "stack": 1, "size": (8, 8)}
    vector = worlds.make("pong", "envpool", **how)
    assert not vector.exact
    begun = [openings(vector)]
    worlds.play(vector, worlds.random_actions(vector, 5))
    for restarts in range(1, 3):
        state = vector.save()
        vector.load(state)
        begun.append(openings(vector))
        assert vector.save() == {"restarts": restarts}
    elsewhere = worlds.make("pong", "envpool", **how)
    assert openings(elsewhere) == begun[0]
    elsewhere.load({"restarts": 1})
    assert openings(elsewhere) == begun[2], "it depends on the names and the count alone"
    assert begun[0] != begun[1] != begun[2] != begun[0]
    assert openings(worlds.make("pong", "envpool", names=("other",), **how)) != begun[0]


def test_a_restart_in_the_middle_of_lives_begins_whole_games():
    vector = worlds.make("breakout", "envpool", envs=2, life_loss=True)
    fire = np.ones(2, int)
    while not vector.step(fire)["is_last"].any():
        pass
    vector.load(vector.save())
    row = vector.step(fire)
    assert row["is_first"].all() and (row["lives"] == 5).all() and (row["duration"] == 0).all()


def test_closing_twice_is_fine():
    vector = worlds.make("pong", "envpool")
    vector.step(np.zeros(1, int))
    vector.close()
    vector.close()
    assert vector.pool is None


def test_envpool_prints_nothing(capfd):
    vector = worlds.make("pong", "envpool", workers=2, envs=2)
    vector.step(np.zeros(2, int))
    vector.close()
    assert capfd.readouterr() == ("", "")
