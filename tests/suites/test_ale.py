"""The ale backend: workers change nothing, states are exact, nothing is left behind."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from suites import ale, emulators
from tests.suites import worlds

HARD = {"sticky": 0.25, "noops": (0, 30), "cap": 150, "life_loss": True, "stack": 4}


def alive(pid: int) -> bool:
    """Tells whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(happened, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.02)
    return happened()


@pytest.mark.parametrize("game", ["breakout", "catch"])
def test_number_and_order_of_workers_change_nothing(game):
    vectors = [worlds.make(game, envs=4, workers=workers, **HARD) for workers in (0, 1, 2, 3)]
    actions = worlds.random_actions(vectors[0], 60)
    one, *others = [worlds.play(vector, actions) for vector in vectors]
    for vector in vectors:
        vector.close()
    assert [worlds.difference(one, other) for other in others] == [[], [], []]
    assert any((row["image"][0] != row["image"][1]).any() for row in one), "each has its own seed"


def test_more_workers_than_environments_are_not_started():
    vector = worlds.make("catch", envs=2, workers=5)
    assert [list(group.indices) for group in vector.groups] == [[0], [1]]
    vector.close()


def test_an_environment_plays_the_same_alone_and_in_company():
    many, one = (worlds.make("catch", envs=envs, **HARD) for envs in (3, 1))
    actions = worlds.random_actions(many, 60)
    company = [{k: v[:1] for k, v in row.items()} for row in worlds.play(many, actions)]
    assert worlds.difference(company, worlds.play(one, actions[:, :1])) == []


def test_games_depend_on_the_names_and_on_nothing_else():
    actions = np.random.default_rng(0).integers(3, size=(40, 2))
    names = [("ppo", "catch", 0), ("ppo", "catch", 0), ("ppo", "catch", 1), ("random", "catch", 0)]
    plays = [worlds.play(worlds.make("catch", envs=2, names=n, **HARD), actions) for n in names]
    assert [worlds.difference(plays[0], play) == [] for play in plays] == [True, True, False, False]


def plain(tree) -> bool:
    """Tells whether a state can be written without pickle."""
    if isinstance(tree, dict):
        return all(isinstance(key, str) and plain(value) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return all(map(plain, tree))
    return isinstance(tree, np.ndarray | int | float | str | None)


@pytest.mark.parametrize(
    ("game", "how"),
    [
        ("catch", HARD),
        ("pong", HARD),
        ("breakout", HARD),
        ("seaquest", HARD | {"color": "rgb", "resize": "bilinear", "size": (64, 64)}),
        ("assault", HARD | {"fire": True, "stale_first_frame": True}),  # Resets differ.
    ],
)
def test_a_state_is_exact_in_another_process_with_other_workers(game, how):
    here = worlds.make(game, envs=3, **how)
    there = worlds.make(game, envs=3, workers=2, names=("elsewhere",), **how)
    actions = worlds.random_actions(here, 160)
    worlds.play(here, actions[:27])
    assert not here.rows["is_last"].all(), "in the middle of episodes"
    state = here.save()
    assert plain(state)
    wanted = worlds.play(here, actions[27:])
    there.load(pickle.loads(pickle.dumps(state)))
    assert worlds.difference(worlds.play(there, actions[27:]), wanted) == []
    assert sum(row["over"].sum() for row in wanted) > 3, "games ended and began on the way"
    back = worlds.make(game, envs=3, **how)
    there.load(state)
    back.load(there.save())
    assert worlds.difference(worlds.play(back, actions[27:60]), wanted[:33]) == []
    there.close()


def test_a_state_holds_the_random_numbers_of_the_console():
    one, other = (emulators.make("pong", "minimal", False, seed) for seed in (1, 2))
    assert np.array_equal(one.ram(), other.ram())
    assert not np.array_equal(one.save()["console"], other.save()["console"])


@pytest.mark.parametrize("call", ["step", "save", "load"])
def test_a_dead_worker_is_told_of_by_name(call):
    vector = worlds.make("catch", envs=3, workers=2)
    vector.step(np.zeros(3, int))
    state, victim = vector.save(), vector.groups[0].process
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    arguments = {"step": [np.zeros(3, int)], "save": [], "load": [state]}[call]
    with pytest.raises(RuntimeError, match=r"environments 0 to 1 ended by SIGKILL; out of memory"):
        getattr(vector, call)(*arguments)
    survivor = vector.groups[1].process
    vector.close()
    assert survivor.returncode == 0


def test_a_start_that_fails_says_why_and_leaves_no_process(monkeypatch):
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    given, how = worlds.settings(), {"workers": 2, "training": True}
    with pytest.raises(RuntimeError, match="ValueError: unknown game 'pogn'"):
        ale.AleVector("pogn", given.task, given.view, 2, ("x",), **how)
    assert [process.returncode for process in started] == [0, 0]


PARENT = """
import time
import numpy as np
from tests.suites import worlds

vector = worlds.make("catch", envs=2, workers=2)
vector.step(np.zeros(2, int))
print(*[group.process.pid for group in vector.groups], flush=True)
while True:
    vector.step(np.zeros(2, int))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dying_parent_leaves_no_worker_and_no_memory(repository, number):
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, cwd=repository, stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        maps = Path(f"/proc/{parent.pid}/maps").read_text().splitlines()
        living = list(map(alive, workers))
        parent.send_signal(number)  # Before anything that may fail: leaving the block waits.
    shared = [line for line in maps if " rw-s " in line]  # Written by several processes.
    assert shared and all(line.endswith("(deleted)") for line in shared), "it has no name"
    assert living == [True, True]
    assert wait_for(lambda: not any(map(alive, workers)))


def test_workers_leave_signals_to_their_parent():
    vector = worlds.make("catch", workers=1)
    process = vector.groups[0].process
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        process.send_signal(number)
    assert vector.step(np.zeros(1, int))["is_first"].all()
    vector.close()
    assert process.returncode == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_closing_twice_is_fine(workers):
    vector = worlds.make("catch", workers=workers)
    process = vector.groups[0].process if workers else None
    vector.close()
    vector.close()
    assert process is None or process.returncode == 0


def test_neither_emulators_nor_workers_print_anything(capfd):
    for workers in (0, 1):
        vector = worlds.make("pong", workers=workers)
        vector.step(np.zeros(1, int))
        vector.close()
    assert capfd.readouterr() == ("", "")


def test_a_worker_is_this_package_wherever_the_run_is_started(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    monkeypatch.chdir(tmp_path)
    vector = worlds.make("catch", workers=1)
    assert vector.step(np.zeros(1, int))["is_first"].all()
    vector.close()


def test_rows_lie_elsewhere_where_shared_memory_is_full(monkeypatch):
    asked, reserve = [], os.posix_fallocate

    def full_once(descriptor: int, offset: int, length: int) -> None:
        asked.append(length)
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full_once)
    vector = worlds.make("catch", workers=1)
    assert vector.step(np.zeros(1, int))["is_first"].all()
    vector.close()
    assert len(asked) == 2
