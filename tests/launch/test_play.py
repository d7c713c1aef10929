"""People see every frame in its colours; the agent sees its view and nothing else."""

import itertools
import sys
import types
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agents import base
from launch import play, trained, video
from launch.picture import PANEL, Facts, Painter
from suites import emulators, env
from suites.game import RESET
from tests.launch.dreamers import of_run

FACTS = Facts(score=3.0, lives=2, action="UP", second=65, note="")


def show(run: Path, **changes: Any) -> str:
    asked = {"out": None, "window": False, "policy": "sampled", "weights": None, "seed": 0}
    return play.main(run, **asked | {"most": 100} | changes, device="cpu")


def decoded(path: Path) -> tuple[Any, list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return container.streams.video[0], frames


class Kept:
    """Keeps the pictures of a show."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []

    def show(self, picture: np.ndarray) -> None:
        self.pictures.append(picture)


def staged(run: Path, agent: Any = None, seed: int = 0, **changes: Any) -> tuple[play.Stage, Kept]:
    found = trained.load(run, None, "cpu")
    config = found.run.model_copy(update=changes)
    kept = Kept()
    found = trained.Trained(run, config, found.weights, agent or found.agent)
    return play.Stage(found, "sampled", seed, "a title", kept), kept


def unpainted(stage: play.Stage) -> play.Stage:
    """Leaves the pictures blank, which is quicker."""
    stage.painter.paint = lambda screen, facts: screen
    return stage


class Wanderer:
    """Answers with random actions and remembers what it saw."""

    def __init__(self, actions: int):
        self.actions, self.seen, self.done = actions, [], [0]

    def init(self, batch: int) -> base.Carry:
        return ()

    def policy(self, carry: Any, obs: base.Rows, mode: str, rng: np.random.Generator) -> Any:
        self.seen.append({name: array.copy() for name, array in obs.items()})
        action = rng.integers(self.actions, size=1)
        self.done.append(int(action[0]))
        return carry, action, {}


@pytest.mark.parametrize("game", ["catch", "breakout"])
def test_the_agent_sees_exactly_the_rows_of_its_suite(finished: Path, game: str) -> None:
    agent = Wanderer(3)
    stage = unpainted(staged(finished, agent, game=game)[0])
    stage.play(600, lambda: None)
    run = trained.load(finished, None, "cpu").run
    world = env.make(
        game, run.task, run.view, 1, ("play", game, 0), backend="ale", workers=0, training=False
    )
    assert len(agent.seen) > 50
    for seen, action in zip(agent.seen, agent.done, strict=False):
        rows = world.step(np.array([action]))
        for name, array in seen.items():
            np.testing.assert_array_equal(array, rows[name], name)


def test_every_frame_of_the_emulator_is_shown_once(finished: Path) -> None:
    stage, kept = staged(finished, game="pong")
    played = []
    act = stage.emulator.act
    stage.emulator.act = lambda action: (played.append(action), act(action))[1]
    stage.play(90, lambda: None)
    assert len(kept.pictures) == len(played) == stage.pictures >= 90


def test_the_game_is_shown_in_its_own_colours_and_size(finished: Path) -> None:
    stage, kept = staged(finished, game="pong")
    stage.play(80, lambda: None)
    screen = stage.emulator.picture()
    assert screen.shape == (210, 160, 3)
    assert (screen[..., 0] != screen[..., 1]).any(), "the view is gray, the picture is not"
    np.testing.assert_array_equal(kept.pictures[-1][:630:3, ::5], screen)
    np.testing.assert_array_equal(kept.pictures[-1][2:630:3, 4::5], screen)


def test_whole_games_fill_ten_seconds_and_the_last_one_ends(finished: Path) -> None:
    stage, kept = staged(finished)
    lines = stage.play(10_000, lambda: None)
    assert 600 <= len(kept.pictures) < 600 + 38 + 30 + video.RATE
    assert len(lines) > 5
    assert {line["end"] for line in lines} == {"terminal"}
    assert {line["return"] for line in lines} <= {-1.0, 1.0}


def test_a_long_game_is_left_after_the_frames_asked_for(finished: Path) -> None:
    stage, kept = staged(finished, game="breakout")
    lines = stage.play(50, lambda: None)
    assert [line["end"] for line in lines] == ["left"]
    assert 50 <= len(kept.pictures) < 54
    assert play.told(lines)[0].endswith("not over yet")


def test_the_same_seed_shows_the_same_game_and_another_seed_another(finished: Path) -> None:
    stages = [unpainted(staged(finished, seed=seed)[0]) for seed in (0, 0, 1)]
    one, two, other = (stage.play(700, lambda: None) for stage in stages)
    assert one == two
    assert one != other


def test_an_agent_with_a_memory_is_given_what_it_remembered(finished: Path) -> None:
    toy, carries = of_run(finished, "catch").agent, []
    policy = toy.policy

    def remembered(carry: Any, *words: Any) -> Any:
        after = policy(carry, *words)
        carries.append((carry, after[0]))
        return after

    toy.policy = remembered
    stage = unpainted(staged(finished, toy, game="catch", view=toy.config.view)[0])
    lines = stage.play(100, lambda: None)
    assert len(lines) > 1, "over the end of a game"
    assert (carries[0][0]["state"]["age"] == 0).all()
    for (_, given), (taken, _) in itertools.pairwise(carries):
        assert given is taken
    ages = [float(after["state"]["age"][0]) for _, after in carries]
    assert ages[:4] == [0.0, 1.0, 2.0, 3.0], "counted by the model"
    assert ages.count(0.0) == len(lines), "it forgets where a game begins"


def test_the_score_of_the_panel_is_the_points_so_far(finished: Path) -> None:
    stage, _ = staged(finished)
    facts = []
    stage.painter.paint = lambda screen, said: facts.append(said)
    lines = stage.play(600, lambda: None)
    ends = [said for said in facts if said.note]
    assert {said.note for said in ends} == {"game over"}
    whole = [line["return"] for line in lines if line["end"] != "left"]
    assert len(whole) > 5
    assert [said.score for said in ends[:: play.HELD]] == whole
    assert {said.action for said in facts} == {"NOOP", "LEFT", "RIGHT"}
    first = facts.index(ends[0])
    assert {said.score for said in facts[: first - 1]} == {0.0}


def test_points_of_no_op_frames_stand_in_no_score(finished: Path) -> None:
    stage = unpainted(staged(finished)[0])
    act = stage.emulator.act
    stage.emulator.act = lambda action: act(action) + 100 * (stage.game.next == RESET)
    facts = []
    stage.painter.paint = lambda screen, said: facts.append(said)
    lines = stage.play(600, lambda: None)
    assert max(said.score for said in facts) >= 100, "there were such points"
    whole = [line["return"] for line in lines if line["end"] != "left"]
    assert [said.score for said in facts if said.note][:: play.HELD] == whole


def test_watching_an_emulator_changes_nothing_of_it() -> None:
    alone, other = (emulators.make("pong", "minimal", False, "watching") for _ in range(2))
    watched = play.Watched(other, lambda: None, lambda action, points: other.picture())
    for emulator in (alone, watched):
        emulator.reset()
        for frame in range(120):
            emulator.act(frame % 6)
    np.testing.assert_array_equal(alone.ram(), watched.ram())
    np.testing.assert_array_equal(alone.screen(), watched.screen())


def test_a_video_has_every_picture_at_sixty_a_second(run: Path) -> None:
    assert show(run, out=run.parent / "a" / "b.mp4").endswith("b.mp4")
    stage, kept = staged(run)
    stage.play(100, lambda: None)
    stream, frames = decoded(run.parent / "a" / "b.mp4")
    assert stream.average_rate == 60
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p", "which every browser plays"
    assert len(frames) == len(kept.pictures)
    for frame, picture in zip(frames, kept.pictures, strict=True):
        error = np.abs(frame.astype(int) - picture).mean()
        assert error < 3, "the right picture, or nearly"


def test_colours_survive_the_video(tmp_path: Path) -> None:
    picture = np.zeros((700, 800, 3), np.uint8)
    colours = {100: (200, 72, 72), 300: (66, 72, 200), 500: (72, 160, 72)}
    for row, colour in colours.items():
        picture[row : row + 100] = colour
    with video.Video(tmp_path / "x.mp4") as file:
        for _ in range(3):
            file.show(picture)
    _, frames = decoded(tmp_path / "x.mp4")
    for row, colour in colours.items():
        np.testing.assert_allclose(frames[-1][row + 50, 400], colour, atol=4)


def test_a_video_goes_to_the_run_folder_and_nothing_else_changes(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert show(run).endswith(str(run / "media" / "play.mp4"))
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {run / "media" / "play.mp4"}
    assert {path: after[path] for path in before} == before


def test_an_interrupted_video_leaves_the_one_before_it(run: Path) -> None:
    show(run)
    before = (run / "media" / "play.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt), video.Video(run / "media" / "play.mp4") as file:
        file.show(np.zeros((10, 10, 3), np.uint8))
        raise KeyboardInterrupt
    assert (run / "media" / "play.mp4").read_bytes() == before
    assert [path.name for path in (run / "media").iterdir()] == ["play.mp4"]


def refusal(run: Path, **changes: Any) -> str:
    with pytest.raises(ValueError) as found:
        show(run, **changes)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_file_that_cannot_be_a_video_is_refused(run: Path) -> None:
    assert "allowed is .mp4" in refusal(run, out=run / "play.gif")
    assert "allowed is .mp4" in refusal(run, out=run / "play")
    (run / "media").write_text("in the way")
    assert "cannot be written" in refusal(run)
    assert "no such folder" in refusal(run.with_name("nowhere"))


@pytest.mark.parametrize("shape", [(210, 160, 3), (250, 160, 3), (40, 40, 3), (35, 33, 3)])
def test_pictures_have_even_sides_and_a_panel(shape: tuple[int, ...]) -> None:
    painter = Painter(shape, "title")
    picture = painter.paint(np.full(shape, 77, np.uint8), FACTS)
    assert picture.shape == painter.shape
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert (picture[: -PANEL - 1] == 77).all()
    assert not (picture[-PANEL + 2 :] == 77).all()


def test_pixels_of_an_atari_are_wider_than_high_and_others_square() -> None:
    atari, catch = Painter((210, 160, 3), ""), Painter((40, 40, 3), "")
    assert atari.scale[1] / atari.scale[0] == pytest.approx(12 / 7, rel=0.03)
    assert catch.scale[0] == catch.scale[1]


def test_the_panel_tells_every_fact() -> None:
    painter, screen = Painter((40, 40, 3), "title"), np.zeros((40, 40, 3), np.uint8)
    others = [
        Facts(4.0, 2, "UP", 65, ""),
        Facts(3.0, 1, "UP", 65, ""),
        Facts(3.0, 2, "DOWN", 65, ""),
        Facts(3.0, 2, "UP", 66, ""),
        Facts(3.0, 2, "UP", 65, "game over"),
    ]
    first = painter.paint(screen, FACTS)
    for facts in others:
        assert (painter.paint(screen, facts) != first).any(), facts
    np.testing.assert_array_equal(painter.paint(screen, FACTS), first)


def test_a_long_title_is_cut_to_the_width() -> None:
    short, long = Painter((40, 40, 3), "x" * 5), Painter((40, 40, 3), "long " * 100)
    for painter in (short, long):
        picture = painter.paint(np.zeros((40, 40, 3), np.uint8), FACTS)
        assert (picture[-PANEL:, -8:] == picture[-1, -1]).all(), "nothing runs over the margin"


def test_a_window_without_a_screen_or_tkinter_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "no screen here" in refusal(run, window=True)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert "no tkinter" in refusal(run, window=True)


class FakeTk:
    """As much of tkinter as a window uses, and a clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.drawn, self.slow, self.handlers, self.gone = 0.0, [], 0.0, {}, False

    def module(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(
            Tk=lambda: self, Label=lambda *a, **k: self, TclError=Exception
        )

    def image(self, picture: Any, master: Any) -> types.SimpleNamespace:
        return types.SimpleNamespace(paste=self.paste)

    def paste(self, picture: Any) -> None:
        self.drawn.append(self.now)
        self.now += self.slow

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def protocol(self, name: str, handler: Any) -> None:
        self.handlers[name] = handler

    def destroy(self) -> None:
        self.gone = True

    def nothing(self, *words: Any, **named: Any) -> None:
        pass

    title = resizable = bind = pack = configure = update = nothing


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> FakeTk:
    fake = FakeTk()
    monkeypatch.setitem(sys.modules, "tkinter", fake.module())
    tk = types.SimpleNamespace(PhotoImage=fake.image)
    monkeypatch.setitem(sys.modules, "PIL.ImageTk", tk)
    monkeypatch.setattr("PIL.ImageTk", tk, raising=False)
    return fake


PICTURE = np.zeros((4, 4, 3), np.uint8)


def test_a_window_shows_pictures_at_their_speed(screen: FakeTk) -> None:
    with video.Window("", lambda: screen.now, screen.sleep) as window:
        for _ in range(4):
            window.show(PICTURE)
    assert screen.drawn == pytest.approx([0, 1 / 60, 2 / 60, 3 / 60])
    assert screen.gone


def test_a_slow_window_leaves_pictures_out_but_never_freezes(screen: FakeTk) -> None:
    screen.slow = 0.05  # Three times as long as there is.
    with video.Window("", lambda: screen.now, screen.sleep) as window:
        for _ in range(600):
            window.show(PICTURE)
    assert screen.now == pytest.approx(10, abs=0.3), "the right speed all the same"
    screen.drawn, screen.slow = [], 1.0
    with video.Window("", lambda: screen.now, screen.sleep) as window:
        for _ in range(60):
            window.show(PICTURE)
    assert len(screen.drawn) >= 60 // (video.LEFT_OUT + 1)


def test_closing_the_window_ends_the_show(run: Path, screen: FakeTk) -> None:
    screen.update = lambda: screen.handlers["WM_DELETE_WINDOW"]()
    assert show(run, window=True) == "The window was closed."
    assert screen.gone
