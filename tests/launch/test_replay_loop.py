"""Replays in the loop: what a run that was killed, mapped or cut learns from."""

import contextlib
import hashlib
from pathlib import Path

import numpy as np
import pytest

from agents import base
from launch import checkpoint
from launch.loop import Loop, Plan
from tests.launch import replays
from tests.launch.test_loop import SKIP, CountingEnv, Inexact, Leave, TapeAgent


class LatentAgent(TapeAgent):
    """Keeps latents, refreshes them one update late, and remembers what it saw as hashes."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: dict[str, np.ndarray] = {}
        self.updates = 0

    def init(self, batch):
        return {"action": np.zeros(batch, np.int64), "seen": np.zeros(batch, np.int64)}

    def policy(self, carry, obs, mode, rng):
        count = len(obs["is_first"])
        action = rng.integers(1_000_000 if mode == "random" else 100, size=count)
        seen = carry["seen"] + 1
        kept = {"deter": np.stack([seen, carry["action"]], 1).astype(np.float32)}
        return {"action": action, "seen": seen}, action, kept

    def train(self, carry, batch, progress):
        digest = hashlib.sha256()
        for name in sorted(batch):
            digest.update(name.encode() + np.ascontiguousarray(batch[name]).tobytes())
        self.batches.append(digest.hexdigest())
        self.updates += 1
        before = self.pending
        if "deter" in batch:
            trained = batch["image"].shape[1] - batch["deter"].shape[1]
            deter = np.full((len(batch["deter"]), trained, 2), 1000 + self.updates, np.float32)
            self.pending = {"deter": deter + batch["deter"].mean()}
        return carry, before

    def save(self):
        return {"updates": self.updates, "pending": {k: v.copy() for k, v in self.pending.items()}}

    def load(self, state):
        self.updates, self.pending = state["updates"], state["pending"]


class Run:
    """A loop with checkpoints on the disk, as a session keeps them."""

    def __init__(
        self, training: base.Training, folder: Path, *, leave: int = 0, every: int = 10**9,
        kind: type = CountingEnv, frames: int = 1200,
    ):  # fmt: skip
        self.folder, self.leave, self.every, self.calls = folder, leave, every, 0
        self.agent, self.lines = LatentAgent(), []
        self.feed = replays.make(training, folder / "replay")
        self.feed.rng = np.random.default_rng(7)
        plan = Plan(frames=frames, frame_skip=SKIP, log_every=80, evaluate_at=())
        self.loop = Loop(
            plan, self.agent, kind(training.streams), self.feed, np.random.default_rng(0),
            write=lambda name, line: self.lines.append((name, line)),
            evaluate=lambda frame: 0.0, between=self.between,
        )  # fmt: skip
        found = checkpoint.restore(folder / "checkpoints")
        if found:
            self.loop.load(found[1])

    def between(self) -> None:
        self.calls += 1
        if self.calls % self.every == 0:
            self.save()
        if self.calls == self.leave:
            raise Leave

    def save(self) -> None:
        counters = self.loop.counters
        name = f"{counters.frames:012d}-{counters.updates:010d}"
        checkpoint.store(self.folder / "checkpoints", name, self.loop.save())
        self.feed.saved()

    def end(self) -> list[str]:
        """Plays to the end, or to where it leaves; returns the hashes of the batches."""
        with contextlib.suppress(Leave):
            self.loop.run()
        return self.agent.batches


def changed(training: base.Training, **changes: object) -> base.Training:
    return training.model_copy(update=changes)


KINDS = {
    "uniform": changed(replays.UNIFORM, capacity=60),
    "exact prefill": changed(replays.UNIFORM, prefill=40, online=False, recent=0.5, streams=3),
    "episodes": changed(replays.EPISODES, capacity=40),
    "continued": changed(
        replays.EPISODES, continued=True, streams=3, starts="all_but_last", length=2, recent=0.5
    ),
}


@pytest.mark.parametrize("storage", ["memory", "mapped"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_again_and_again_learns_from_the_same_batches(
    kind: str, storage: str, tmp_path: Path
) -> None:
    training = changed(KINDS[kind], storage=storage)
    whole = Run(training, tmp_path / "whole")
    batches = whole.end()
    assert len(batches) > 20
    seen: dict[int, str] = {}
    for leave in (5, 40, 41, 90, 150, 33, 7, 222):
        part = Run(training, tmp_path / "killed", leave=leave, every=13)
        begun = part.agent.updates
        # A killed process saves nothing more; what it played beyond its checkpoint is played again.
        for index, digest in enumerate(part.end(), begun):
            assert seen.setdefault(index, digest) == digest
    last = Run(training, tmp_path / "killed", every=29)
    begun = last.agent.updates
    assert begun > 0
    seen |= dict(enumerate(last.end(), begun))
    assert [seen[index] for index in sorted(seen)] == batches
    untimed = [
        {k: v for k, v in line.items() if k not in ("seconds", "metrics")} for _, line in last.lines
    ]
    assert untimed == [
        {k: v for k, v in line.items() if k not in ("seconds", "metrics")}
        for _, line in whole.lines[-len(untimed) :]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_mapped_storage_serves_what_memory_serves_bit_for_bit(kind: str, tmp_path: Path) -> None:
    training = KINDS[kind]
    batches = [
        Run(changed(training, storage=storage), tmp_path / storage, every=17).end()
        for storage in ("memory", "mapped")
    ]
    assert len(batches[0]) > 20
    assert batches[0] == batches[1]


@pytest.mark.parametrize("storage", ["memory", "mapped"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    kind: str, storage: str, tmp_path: Path
) -> None:
    training = changed(KINDS[kind], storage=storage)
    whole = Run(training, tmp_path / "whole").end()
    Run(training, tmp_path / "run", leave=200, every=11).end()
    newest, _ = checkpoint.newest_first(tmp_path / "run" / "checkpoints")
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="the one before it"):
        second = Run(training, tmp_path / "run", every=11)
    begun = second.agent.updates
    assert begun > 0
    assert second.end() == whole[begun:]


def test_saving_twice_at_one_place_keeps_what_the_older_checkpoint_needs(tmp_path: Path) -> None:
    training = KINDS["uniform"]
    whole = Run(training, tmp_path / "whole").end()
    first = Run(training, tmp_path / "run", leave=120, every=40)
    first.end()
    for _ in range(3):
        first.save()
    newest, older = checkpoint.newest_first(tmp_path / "run" / "checkpoints")
    assert newest != older
    newest.unlink()
    second = Run(training, tmp_path / "run")
    begun = second.agent.updates
    assert second.end() == whole[begun:]


def test_files_that_no_checkpoint_needs_are_removed(tmp_path: Path) -> None:
    training = KINDS["uniform"]
    run = Run(training, tmp_path, every=11, frames=3000)
    run.end()
    run.save()
    held = len(run.feed.store.rows.held)
    files = sorted(path.name for path in (tmp_path / "replay").iterdir())
    rows = [name for name in files if name.startswith("rows")]
    latents = [name for name in files if name.startswith("latents")]
    assert len(run.feed.store.rows.held) <= 60 // 16 + 3
    assert held <= len(rows) <= held + 2
    assert len(latents) <= 6


@pytest.mark.parametrize("storage", ["memory", "mapped"])
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_replay_whose_files_were_damaged_is_refused_by_name(
    damage: str, storage: str, tmp_path: Path
) -> None:
    training = changed(KINDS["uniform"], storage=storage)
    Run(training, tmp_path, leave=100, every=50).end()
    victim = max((tmp_path / "replay").glob("rows-*.bin"))
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:40])
    with pytest.raises(ValueError, match=victim.name):
        Run(training, tmp_path)


@pytest.mark.parametrize("kind", ["uniform", "episodes"])
def test_nothing_is_learnt_across_a_game_that_was_cut(kind: str, tmp_path: Path) -> None:
    training = KINDS[kind]
    first = Run(training, tmp_path, kind=Inexact, frames=200)
    first.end()
    first.save()
    second = Run(training, tmp_path, kind=Inexact, frames=240)
    seam = second.feed.count - (kind == "episodes")
    second.end()
    rows = {"is_first": np.zeros((2, 2), bool), "is_last": np.zeros((2, 2), bool)}
    for stream in range(2):
        second.feed.store.rows.read(rows, stream, stream, seam, 2)
    assert rows["is_last"][:, 0].all()
    assert rows["is_first"][:, 1].all()
    if kind == "episodes":
        firsts = [(first, first + rows) for _, first, rows in second.feed.list]
        assert not any(low <= seam < high - 1 for low, high in firsts)


@pytest.mark.parametrize("kind", ["exact prefill", "episodes"])
def test_random_actions_are_the_executed_ones_until_the_prefill_is_over(
    kind: str, tmp_path: Path
) -> None:
    run = Run(KINDS[kind], tmp_path)
    executed = []
    while run.loop.counters.agent_steps < 60:
        run.loop.act()
        random = run.feed.random
        executed.append(random)
        if run.loop.rows:
            assert (run.loop.carry["action"] == run.loop.action).all()
            # The policy draws below 100, and the environment has a million actions.
            assert random == bool((run.loop.action >= 100).any())
        run.loop.step()
        run.loop.owed = 0
    assert executed[0] and not executed[-1]
    assert sorted(executed, reverse=True) == executed


def test_looking_at_the_replay_changes_nothing_of_what_is_learnt(tmp_path: Path) -> None:
    for kind, training in KINDS.items():
        quiet = Run(training, tmp_path / kind / "quiet").end()
        watched = Run(training, tmp_path / kind / "watched")
        rng, plain = np.random.default_rng(3), watched.between

        def between(run: Run = watched, rng: np.random.Generator = rng, plain=plain) -> None:
            plain()
            if run.feed.count > 10:
                run.feed.peek(rng, 2, 3)

        watched.loop.between = between
        assert watched.end() == quiet


@pytest.mark.parametrize("kind", ["uniform", "episodes"])
def test_metrics_say_how_large_how_old_and_how_often_replayed(kind: str, tmp_path: Path) -> None:
    run = Run(KINDS[kind], tmp_path)
    run.end()
    lines = [line["metrics"] for name, line in run.lines if name == "metrics"]
    names = {"replay/size", "replay/ratio", "replay/age", "time/agent_steps_per_second"}
    assert names <= set(lines[-1])
    training = KINDS[kind]
    if kind == "uniform":
        # Rows of all streams; the ratio is the setting, up to a batch that falls between lines.
        assert lines[-1]["replay/size"] == training.capacity + 2 * 4
        ratios = [line["replay/ratio"] for line in lines[2:-1]]
        assert abs(np.mean(ratios) - training.ratio) < 0.4
    else:
        assert 30 < lines[-1]["replay/size"] <= training.capacity
    assert 0 < lines[-1]["replay/age"] < 2 * training.capacity


def test_a_run_that_was_saved_before_its_first_row_goes_on(tmp_path: Path) -> None:
    training = KINDS["uniform"]
    Run(training, tmp_path).save()
    begun = Run(training, tmp_path)
    assert begun.feed.count == 0
    assert begun.end() == Run(training, tmp_path / "whole").end()
