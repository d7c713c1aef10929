"""Real runs of a Dreamer: pictures change nothing, and a kill changes nothing of the pictures."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FRAMES = 2_800
BLIND = "from launch import gallery; gallery.Gallery.update = lambda *words: None\n"
PROGRAM = "import sys; from launch import cli; sys.exit(cli.main(sys.argv[1:]))"


def start(out: Path, before: str = "") -> subprocess.Popen:
    words = ["run", "dreamerv2", "--suite", "smoke", "--game", "catch", "--seed", "0"]
    words += ["--frames", str(FRAMES), "--tracking", "off", "--out", str(out), "--workers", "0"]
    words += ["--checkpoint-every", "0.2", "--device", "cpu"]
    with (out.parent / "output.txt").open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-c", before + PROGRAM, *words],
            cwd=out.parent, stdout=output, stderr=output,
        )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert start(out).wait() == 0
    return out


def media(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "media").glob("*"))


def assert_same(one: Path, other: Path) -> None:
    for name in ("episodes.jsonl", "evaluation.jsonl", "weights/final.npz", "weights/best.npz"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_run_shows_its_model_until_its_last_frame(whole: Path) -> None:
    frames = {int(name[:12]) for name in media(whole)}
    assert len(media(whole)) == 2 * len(frames) > 4
    assert max(frames) >= FRAMES
    assert {name[13:] for name in media(whole)} == {"open_loop.mp4", "reconstruction.png"}


def test_a_run_that_shows_nothing_learns_the_same(whole: Path, tmp_path: Path) -> None:
    assert start(tmp_path / "run", BLIND).wait() == 0
    assert not (tmp_path / "run" / "media").exists()
    assert_same(tmp_path / "run", whole)


def test_a_killed_and_resumed_run_shows_the_same(whole: Path, tmp_path: Path) -> None:
    killed = tmp_path / "run"
    process = start(killed)
    half = len(media(whole)) // 2
    while len(media(killed)) < half and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(killed).wait() == 0
    attempts = json.loads((killed / "provenance.json").read_text())["attempts"]
    assert attempts[-1]["from_frame"] > 0, "it went on from a checkpoint"
    assert_same(killed, whole)
    assert media(killed) == media(whole)
    for name in media(whole):
        if name.endswith(".png"):  # An encoder of videos may break ties as it likes.
            one, two = ((run / "media" / name).read_bytes() for run in (killed, whole))
            assert one == two, name
