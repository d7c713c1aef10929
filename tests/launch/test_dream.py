"""`reverie dream` shows what a model makes of real play, and changes nothing of the run."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from launch import cli, dream, gallery, trained
from suites import env
from tests.launch.dreamers import Toy, of_run

FILES = ["dream.gif", "dream.mp4", "open_loop.mp4", "reconstruction.png"]


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dream, "WARM", 10)


def shown(run: Path, **changes: Any) -> str:
    asked = {"out": None, "weights": None, "steps": 7, "seed": 0, "policy": "sampled"}
    return dream.main(run, **asked | changes, device="cpu")


@pytest.fixture
def toy(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder whose agent has a model."""
    found = of_run(run)
    monkeypatch.setattr(trained, "load", lambda path, weights, device: found)
    return run


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_four_files_go_to_the_run_folder_and_nothing_else_changes(toy: Path) -> None:
    before = {path: path.read_bytes() for path in toy.rglob("*") if path.is_file()}
    text = shown(toy)
    after = {path: path.read_bytes() for path in toy.rglob("*") if path.is_file()}
    assert sorted(path.name for path in after.keys() - before.keys()) == FILES
    assert {path: after[path] for path in before} == before
    for name in FILES:
        assert str(toy / "media" / name) in text.splitlines()
    assert "ppo on pong, seed 0 · final weights" in text
    assert "4 sequences of 12 rows; the model was shown 5 and imagined 7" in text
    assert "4 dreams of 7 steps: reward +" in text


def test_videos_are_as_long_as_was_asked_for(toy: Path) -> None:
    shown(toy, out=toy / "a" / "b", steps=9)
    folder = toy / "a" / "b"
    assert len(pictures(folder / "open_loop.mp4")) == dream.CONTEXT + 9
    assert len(pictures(folder / "dream.mp4")) == dream.CONTEXT + 9
    with Image.open(folder / "dream.gif") as gif:
        assert gif.n_frames == dream.CONTEXT + 9
    assert not (toy / "media").exists()


def test_the_same_seed_shows_the_same_and_another_seed_something_else(toy: Path) -> None:
    for folder, seed in (("A", 0), ("B", 0), ("C", 1)):
        shown(toy, out=toy / folder, seed=seed)
    one, two, other = ((toy / f / "reconstruction.png").read_bytes() for f in "ABC")
    assert one == two
    assert one != other


@pytest.mark.parametrize("view", [{}, {"color": "gray", "stack": 4, "size": [84, 84]}])
@pytest.mark.parametrize("game", ["catch", "breakout"])
def test_every_view_and_game_can_be_shown(
    run: Path, monkeypatch: pytest.MonkeyPatch, view: dict, game: str
) -> None:
    found = of_run(run, game, view)
    monkeypatch.setattr(trained, "load", lambda path, weights, device: found)
    shown(run)
    assert sorted(path.name for path in (run / "media").iterdir()) == FILES


def test_the_rows_are_the_game_as_the_policy_played_it(run: Path) -> None:
    found, seen = of_run(run, "catch"), []
    policy = found.agent.policy

    def watched(carry: Any, obs: Any, mode: str, rng: Any) -> Any:
        carry, action, extra = policy(carry, obs, mode, rng)
        seen.append({"action": action, "mode": mode} | {k: v.copy() for k, v in obs.items()})
        return carry, action, extra

    found.agent.policy = watched
    batch, carry = dream.played(found, ("some", "name"), 15, "greedy", lambda step: None)
    assert batch["image"].shape == (dream.GAMES, 15, 64, 64, 3)
    assert {row["mode"] for row in seen} == {"greedy"}
    for number, row in enumerate(seen[-15:]):
        for name in ("image", "reward", "is_first", "is_last", "is_terminal", "action"):
            np.testing.assert_array_equal(batch[name][:, number], row[name])
    first, led, did = (batch[name] for name in ("is_first", "previous_action", "action"))
    assert first.any(), "a game has begun among them"
    assert (led[first] == -1).all()
    assert (led[:, 1:] == np.where(first[:, 1:], -1, did[:, :-1])).all()
    assert not batch["is_last"][:, -1].any(), "a dream begins in a game"
    np.testing.assert_array_equal(carry["action"], did[:, -1])


def test_the_environment_is_closed_whatever_happens(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, closed, make = of_run(run, "catch"), [], env.make

    def made(*words: Any, **named: Any) -> Any:
        world = make(*words, **named)
        close = world.close
        world.close = lambda: (closed.append(True), close())
        return world

    monkeypatch.setattr(env, "make", made)
    found.agent.policy = lambda *words: 1 / 0
    with pytest.raises(ZeroDivisionError):
        dream.played(found, ("x",), 9, "sampled", lambda step: None)
    assert closed == [True]


def refusal(run: Path, **changes: Any) -> str:
    with pytest.raises(ValueError) as found:
        shown(run, **changes)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_an_agent_without_a_model_is_refused_before_it_plays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dream, "played", lambda *words: pytest.fail("it played"))
    assert "ppo has no world model, so it cannot dream" in refusal(run)
    assert not (run / "media").exists()


def test_a_folder_that_cannot_be_written_to_is_refused(toy: Path) -> None:
    (toy / "media").write_text("in the way")
    assert "cannot be written" in refusal(toy)


def test_the_words_reach_the_verb(
    toy: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--out", str(tmp_path / "x"), "--steps", "6", "--seed", "3", "--greedy"]
    assert cli.main(["dream", str(toy), "--device", "cpu", *words]) == 0
    assert "shown 5 and imagined 6" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == FILES


def test_a_dream_and_a_gallery_do_not_write_to_the_same_files() -> None:
    assert [name for name in FILES if gallery.NAME.match(name)] == []
    assert Toy((8, 8, 1), 2).dream(Toy((8, 8, 1), 2).init(1), 1, np.random.default_rng(0))
