"""A speed is that of whole rounds of play and updates, after the first few."""

import pytest

from launch.cost import meter, probe
from launch.cost.meter import Meter


class Run:
    """Plays and updates on a clock of its own."""

    def __init__(self, box_s: float, learns: bool = True):
        self.now, self.steps, self.updates = 0.0, 0, 0
        self.meter = Meter(box_s, learns, lambda: self.now)

    def look(self, owed: int = 0) -> bool:
        return self.meter.look(self.steps, self.updates, owed)

    def play(self, steps: int, step_s: float) -> bool:
        done = False
        for _ in range(steps):
            self.now, self.steps = self.now + step_s, self.steps + 1
            done = done or self.look()
        return done

    def update(self, count: int, update_s: float) -> bool:
        done = False
        for left in reversed(range(count)):
            self.now, self.updates = self.now + update_s, self.updates + 1
            done = done or self.look(owed=left)
        return done

    def train(self, steps: int, step_s: float, count: int, update_s: float) -> None:
        """Plays rounds until the meter has seen enough."""
        while not self.play(steps - 1, step_s):
            # The last step of a round owes updates, so the meter looks after these alone.
            self.now, self.steps = self.now + step_s, self.steps + 1
            if self.update(count, update_s):
                return


def test_a_speed_is_that_of_whole_rounds_however_updates_are_bundled():
    run = Run(box_s=4000)
    run.train(steps=250, step_s=0.01, count=100, update_s=1.0)  # DreamerV1: 102.5 s a round.
    rate, seconds, rounds = run.meter.rate()
    assert rate == pytest.approx(250 / 102.5, rel=0.05)
    assert seconds >= 1000 and rounds >= meter.ROUNDS


@pytest.mark.parametrize("box_s", [150, 160, 170, 190])
def test_a_round_counts_when_it_is_over_wherever_time_runs_out(box_s):
    run = Run(box_s)
    run.train(steps=250, step_s=0.004, count=100, update_s=0.44)  # 45 s a round, 1 s of it play.
    assert run.meter.rate()[0] == pytest.approx(250 / 45)


def test_the_first_updates_are_not_measured():
    run = Run(box_s=100)
    run.play(10, 0.01)
    run.update(1, 19.0)  # Kernels are chosen, a graph is recorded.
    run.train(steps=4, step_s=0.01, count=1, update_s=0.06)
    assert run.meter.rate()[0] == pytest.approx(40, rel=0.01)


def test_what_comes_before_the_first_update_is_timed_by_itself():
    run = Run(box_s=100)
    run.play(10, 0.5)  # Environments start.
    run.play(1000, 0.001)
    run.train(steps=4, step_s=0.001, count=1, update_s=0.5)
    assert 10 < run.meter.rate_before() <= 1000
    assert run.meter.rate()[0] == pytest.approx(4 / 0.504, rel=0.01)


def test_a_prefill_of_less_than_a_second_is_timed_too():
    run = Run(box_s=100)
    run.now = 5.0
    run.look()  # The first games begin.
    run.play(256, 0.001)
    run.train(steps=4, step_s=0.001, count=1, update_s=0.5)
    assert run.meter.rate_before() == pytest.approx(1000)


def test_an_agent_that_never_learns_is_measured_as_it_plays():
    run = Run(box_s=40, learns=False)
    assert run.play(100_000, 0.01)
    assert run.meter.rate()[0] == pytest.approx(100)
    assert run.meter.rate_before() is None


def test_time_that_is_over_before_a_round_is_gives_no_speed():
    run = Run(box_s=60)
    run.play(10, 0.1)
    assert run.update(100, 1.0), "it is over in the middle of the updates"
    with pytest.raises(ValueError, match=r"60 s were over .*updates so far: 59.*--measure 240"):
        run.meter.rate()


def test_a_slow_run_is_measured_by_the_rounds_that_time_allowed():
    run = Run(box_s=120)
    run.train(steps=4, step_s=0.1, count=1, update_s=30.0)
    rate, _, rounds = run.meter.rate()
    assert rate == pytest.approx(4 / 30.4)
    assert 1 <= rounds < meter.ROUNDS


def test_updates_begin_soon_and_nothing_else_is_changed():
    assert probe.soon({"sampling": "none"}) == []
    assert probe.soon({"prefill": 100, "start": 64, "prefill_episodes": 1}) == []
    assert probe.soon({"prefill": 50_000, "prefill_episodes": 5, "batch": 16}) == [
        "training.prefill=256",
        "training.prefill_episodes=1",
    ]
