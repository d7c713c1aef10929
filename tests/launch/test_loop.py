"""The loop's bookkeeping, checked by an environment that counts and an agent that keeps a tape."""

import itertools

import numpy as np
import pytest
from gymnasium import spaces

from agents import base
from launch.loop import Loop, Plan, require_finite
from launch.rollout import Rollout

LENGTH = 4
SKIP = 4


class CountingEnv:
    """Environment i plays games of 3 + i steps; its image says which step of its life it is."""

    exact = True
    act_space = spaces.Discrete(1_000_000)

    def __init__(self, envs: int):
        self.envs = envs
        self.calls = np.zeros(envs, int)  # Rows shown.
        self.played = np.zeros(envs, int)  # Steps of this game.
        self.last = np.ones(envs, bool)
        self.finished = 0
        self.executed: list[np.ndarray] = []

    def step(self, action: np.ndarray) -> base.Rows:
        first = self.last.copy()
        self.executed.append(np.where(first, -1, action))
        self.played = np.where(first, 0, self.played + 1)
        self.last = self.played == 3 + np.arange(self.envs)
        self.finished += int(self.last.sum())
        self.calls += 1
        image = np.zeros((self.envs, 1, 1, 2), np.uint8)
        image[:, 0, 0, 0], image[:, 0, 0, 1] = self.calls % 256, self.played
        return {
            "image": image,
            "reward": self.played.astype(np.float32),
            "is_first": first,
            "is_last": self.last.copy(),
            "is_terminal": self.last & (np.arange(self.envs) % 2 == 0),
            "points": np.where(first, 0.0, 1.0),
            "over": self.last.copy(),
            "truncated": self.last & (np.arange(self.envs) % 2 == 1),
            "duration": self.played * SKIP,
            "lives": np.zeros(self.envs, int),
        }

    def save(self) -> dict:
        return {"state": [self.calls.copy(), self.played.copy(), self.last.copy()]}

    def load(self, state: dict) -> None:
        self.calls, self.played, self.last = (array.copy() for array in state["state"])

    def close(self) -> None: ...


class Inexact(CountingEnv):
    """Cannot be restored."""

    exact = False

    def load(self, state: dict) -> None:
        self.__init__(self.envs)


class TapeAgent:
    """Numbers its actions, and keeps what it is shown."""

    def __init__(self) -> None:
        self.acted, self.batches, self.progress = 0, [], []

    def init(self, batch: int) -> tuple:
        return ()

    def policy(self, carry, obs, mode, rng):
        count = len(obs["is_first"])
        action = np.arange(self.acted, self.acted + count)
        self.acted += count
        return carry, action, {"seen": obs["image"][:, 0, 0, 0].copy()}

    def buffer(self, shape, kind):
        return np.zeros(shape, kind)

    def train(self, carry, batch, progress):
        self.batches.append({name: array.copy() for name, array in batch.items()})
        self.progress.append(progress)
        return carry, {}

    def metrics(self):
        return {"train/value": 1.0}

    def save(self):
        return {"acted": self.acted}

    def load(self, state):
        self.acted = state["acted"]


class Leave(Exception):
    """Raised between updates."""


def make(envs: int, frames: int = 400, epochs: int = 2, kind: type = CountingEnv, **more) -> Loop:
    agent = TapeAgent()
    feed = Rollout(envs, LENGTH, epochs, agent.buffer)
    lines: list[tuple[str, dict]] = []
    parts = {
        "write": lambda name, line: lines.append((name, line)),
        "evaluate": lambda frame: 0.0,
        "between": lambda: None,
    } | more
    plan = Plan(frames=frames, frame_skip=SKIP, log_every=80, evaluate_at=(frames,))
    loop = Loop(plan, agent, kind(envs), feed, np.random.default_rng(0), **parts)
    loop.lines = lines
    return loop


@pytest.mark.parametrize("envs", [1, 4, 7])
def test_frames_steps_rows_and_updates_agree(envs: int) -> None:  # 001#5, 004#6 #9 #10, 003#14
    loop = make(envs)
    loop.run()
    c, shown = loop.counters, int(loop.env.calls.sum())
    resets = sum(int((executed == -1).sum()) for executed in loop.env.executed)
    assert c.rows == shown
    assert c.agent_steps == shown - resets
    assert c.frames == SKIP * c.agent_steps
    assert 400 <= c.frames < 400 + SKIP * envs
    batches = (loop.env.calls[0] - 1) // LENGTH
    assert c.updates == 2 * batches == len(loop.agent.batches)


@pytest.mark.parametrize("envs", [1, 4, 7])
def test_every_finished_episode_is_written_once(envs: int) -> None:  # 000#11, 004#7
    loop = make(envs)
    loop.run()
    episodes = [line for name, line in loop.lines if name == "episodes"]
    assert len(episodes) == loop.env.finished == loop.counters.episodes
    assert [line["episode"] for line in episodes] == list(range(len(episodes)))
    for line in episodes:
        assert line["return"] == 3 + line["env"]  # One point a step; nothing leaks over a reset.
        assert line["length"] == SKIP * (3 + line["env"])
        assert line["end"] == ("truncated" if line["env"] % 2 else "terminal")


def test_the_stored_action_is_the_executed_one() -> None:  # 003#2
    loop = make(3)
    loop.run()
    executed = np.stack(loop.env.executed)  # Call t executes the answer to row t - 1.
    for number, batch in enumerate(loop.agent.batches[::2]):
        for t in range(LENGTH):
            after = executed[number * LENGTH + t + 1]
            stored = np.where(batch["is_last"][:, t], -1, batch["action"][:, t])
            assert (stored == after).all()


def test_rows_reach_the_agent_in_order_and_overlap_by_one() -> None:
    loop = make(2)
    loop.run()
    shown = [batch["image"][:, :, 0, 0, 0] for batch in loop.agent.batches[::2]]
    for batch in shown:
        assert (np.diff(batch.astype(int), axis=1) % 256 == 1).all()
    for one, following in itertools.pairwise(shown):
        assert (one[:, -1] == following[:, 0]).all()
    for batch in loop.agent.batches:
        seen = batch["seen"][:, :LENGTH]
        assert (seen == batch["image"][:, :LENGTH, 0, 0, 0]).all(), "extra belongs to its row"


def test_no_transition_mixes_two_episodes_unmarked() -> None:  # 000#4, 001#8, 002#7, 003#6, 004#3
    loop = make(3)
    loop.run()
    for batch in loop.agent.batches:
        step = batch["image"][..., 0, 0, 1].astype(int)
        broken = step[:, 1:] != step[:, :-1] + 1
        assert (broken == batch["is_last"][:, :-1]).all()
        assert (batch["is_first"][:, 1:] == batch["is_last"][:, :-1]).all()


def test_env_zero_finishing_alone_starts_only_its_own_game() -> None:  # 001#7
    loop = make(3)
    while not (loop.rows and loop.rows["is_last"][0]):
        loop.act()
        loop.step()
    loop.act()
    loop.step()
    assert loop.rows["is_first"].tolist() == [True, False, False]
    # Game 1, one step longer, ended while game 0 began anew; game 2 goes on.
    assert loop.rows["is_last"].tolist() == [False, True, False]
    assert loop.returns.tolist() == [0.0, 0.0, 4.0]


def test_progress_is_a_share_of_the_budget() -> None:
    loop = make(2, frames=800)
    loop.run()
    assert loop.agent.progress == sorted(loop.agent.progress)
    assert 0 < loop.agent.progress[0] < 0.1
    assert 0.9 < loop.agent.progress[-1] <= 1.0


@pytest.mark.parametrize("leave_at", range(1, 60, 7))
def test_a_loop_saved_between_any_two_updates_goes_on_as_if_nothing_happened(leave_at: int) -> None:
    whole, calls = make(3), []
    whole.run()

    def leave() -> None:
        calls.append(None)
        if len(calls) == leave_at:
            raise Leave

    first = make(3, between=leave)
    with pytest.raises(Leave):
        first.run()
    second = make(3)
    second.load(first.save())
    second.run()
    untimed = [
        [(name, {k: v for k, v in line.items() if k not in ("seconds", "metrics")})
         for name, line in lines]
        for lines in (whole.lines, first.lines + second.lines)
    ]  # fmt: skip
    assert untimed[0] == untimed[1]
    batches = first.agent.batches + second.agent.batches
    assert len(batches) == len(whole.agent.batches)
    for one, other in zip(whole.agent.batches, batches, strict=True):
        for name in one:
            valid = one[name][:, :LENGTH], other[name][:, :LENGTH]
            assert (valid[0] == valid[1]).all(), name


def test_games_that_a_backend_cannot_restore_are_cut_and_not_learnt_across() -> None:
    first = make(3, kind=Inexact)
    for _ in range(3):
        first.act()
        first.step()
    second = make(3, kind=Inexact)
    second.load(first.save())
    cut = [line for name, line in second.lines if name == "episodes"]
    assert [line["end"] for line in cut] == ["cut"] * 3
    second.run()
    batch = second.agent.batches[0]
    assert batch["is_last"][:, 2].all()
    assert batch["is_first"][:, 3].all()
    assert not batch["is_terminal"][:, 2].any(), "a cut game is bootstrapped, not dead"
    ends = [line["end"] for name, line in second.lines if name == "episodes"]
    assert ends.count("cut") == 3


def test_evaluation_touches_nothing_of_training() -> None:  # 003#3
    def state(loop: Loop) -> tuple:
        return (vars(loop.counters) | {"seconds": 0}, loop.env.calls.tolist(), loop.agent.acted,
                loop.rng.bit_generator.state)  # fmt: skip

    seen = []
    loop = make(2, evaluate=lambda frame: seen.append(frame) or 1.0)
    loop.run()
    silent = make(2)
    silent.run()
    assert seen == [loop.counters.frames]
    assert state(loop) == state(silent)


def test_a_metric_that_is_not_finite_is_named() -> None:
    with pytest.raises(FloatingPointError, match="loss/value is nan at frame 12"):
        require_finite({"loss/policy": 1.0, "loss/value": float("nan")}, 12)
