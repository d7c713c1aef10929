"""What people see while a run goes on."""

import io
from pathlib import Path

from launch.loop import Counters
from launch.progress import LINE, Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def progress(out: io.StringIO, folder: Path, clock: Clock) -> Progress:
    return Progress("ppo pong 0", 1_000_000, out, folder / "log.txt", clock)


def counters(steps: int) -> Counters:
    return Counters(
        frames=4 * steps, agent_steps=steps, updates=steps // 64, episodes=steps // 1000
    )


def test_a_plain_line_says_all_every_fifteen_seconds(tmp_path):
    out, clock = io.StringIO(), Clock()
    shown = progress(out, tmp_path, clock)
    shown.update(counters(50_000))
    for seconds in range(1, 31):
        clock.now = 100.0 + seconds
        shown.episode(-20.0 + seconds)
        shown.update(counters(50_000 + 1_000 * seconds))
    first, second = out.getvalue().splitlines()
    assert first == (
        "ppo pong 0   26%  260,000/1,000,000 frames  1000 SPS 4000 FPS 15.6 UPS  "
        "return -9.5 (last 10 of 65)  ETA 3:05"
    )
    assert "ETA 2:50" in second
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 2


def test_what_a_log_holds_is_read_back(tmp_path):
    clock, out = Clock(), io.StringIO()
    shown = progress(out, tmp_path, clock)
    shown.update(counters(0))
    shown.episode(-2.25)
    clock.now += 20.0
    shown.update(counters(2_500))
    *_, last = (tmp_path / "log.txt").read_text().splitlines()
    assert LINE.match(last).groupdict() == {
        "percent": "1", "speed": "125", "mean": "-2.2", "eta": "33:00"
    }  # fmt: skip
    assert not LINE.match("2026-11-26 22:00:00  stopped with a checkpoint")


def test_a_terminal_gets_one_live_line_that_is_wiped(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out, clock = Terminal(), Clock()
    shown = progress(out, tmp_path, clock)
    for seconds in range(5):
        clock.now = 100.0 + seconds
        shown.update(counters(50_000 + 1_000 * seconds))
    shown.close()
    assert "\n" not in out.getvalue()
    drawn = [part for part in out.getvalue().split("\r") if part.strip()]
    assert len(drawn) == 4
    assert all(len(line) <= 59 for line in drawn), "a line that wraps cannot be wiped"
    assert out.getvalue().endswith("\r")


def test_speeds_after_a_resume_are_of_this_attempt(tmp_path):
    out, clock = io.StringIO(), Clock()
    shown = progress(out, tmp_path, clock)
    shown.update(counters(100_000))
    clock.now += 20
    shown.update(counters(101_000))
    assert "50 SPS 200 FPS" in out.getvalue()


def test_a_full_disk_does_not_stop_the_display(tmp_path):
    (tmp_path / "log.txt").symlink_to("/dev/full")
    out = io.StringIO()
    shown = progress(out, tmp_path, Clock())
    shown.say("finished")
    shown.close()
    assert "finished" in out.getvalue()


def test_times_are_written_as_clocks_are():
    assert [duration(s) for s in (None, 0, 61.4, 3_661, -3)] == [
        "?",
        "0:00",
        "1:01",
        "1:01:01",
        "0:00",
    ]
