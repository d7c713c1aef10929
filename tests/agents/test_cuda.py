"""The same code on a GPU: these tests are skipped where there is none."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

import agents
from agents.parts import captured
from suites.game import image_shape
from tests.agents import toys

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
NAMES = [name for name in agents.names() if name.startswith("dreamerv")]
ACTIONS = 4


def made(name: str, device: str, precision: str) -> Any:
    sets = {"view.size": [64, 64], "precision": precision}
    config = agents.configure(name, "none", ["debug"], sets)
    space = spaces.Box(0, 255, image_shape(config.view), np.uint8)
    space = spaces.Dict({"image": space})
    return agents.load(name).Agent(space, spaces.Discrete(ACTIONS), config, 0, device)


def batch_for(agent: Any, seed: int = 0) -> toys.Rows:
    """Returns rows of the shape that the agent asks for, with what replay would add."""
    c, rng = agent.config, np.random.default_rng(seed)
    rows = c.training.length + getattr(c.training, "context", 0)
    batch = toys.made_up(c.training.batch, rows, rng, image_shape(c.view))
    batch["action"] = rng.integers(0, ACTIONS, batch["reward"].shape)
    batch["previous_action"] = np.roll(batch["action"], 1, 1)
    if getattr(c.training, "context", 0):
        carry = agent.init(c.training.batch)
        obs = {name: batch[name][:, 0] for name in toys.made_up(1, 1, rng)}
        _, _, extra = agent.policy(carry, obs, "train", rng)
        batch |= {name: array[:, None] for name, array in extra.items()}
    return batch


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_learns_what_the_processor_learns(name: str) -> None:
    here, there = made(name, "cpu", "float32"), made(name, "cuda", "float32")
    batch = batch_for(here)
    for agent in (here, there):
        for _ in range(3):
            agent.train((), batch, 0.5)
    wanted, found = here.metrics(), there.metrics()
    assert found == pytest.approx(wanted, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_computes_in_bfloat16(name: str) -> None:
    agent = made(name, "cuda", "bfloat16")
    agent.train((), batch_for(agent), 0.5)
    assert all(np.isfinite(value) for value in agent.metrics().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_learns_what_plain_calls_learn(name: str) -> None:
    plain, recorded = made(name, "cuda", "float32"), made(name, "cuda", "float32")
    plain.recorded.graphs = False
    batches = [batch_for(plain, seed) for seed in range(2)]
    for agent in (plain, recorded):
        for update in range(captured.WARM + 4):
            agent.train((), batches[update % 2], 0.5)
    assert recorded.recorded.graph is not None and plain.recorded.graph is None
    assert recorded.metrics() == pytest.approx(plain.metrics(), rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("graphs", [False, True], ids=["plain", "recorded"])
def test_an_update_does_not_wait_for_the_gpu(name: str, graphs: bool) -> None:
    agent = made(name, "cuda", "bfloat16")
    agent.recorded.graphs = graphs
    batch = batch_for(agent)
    pinned = {key: agent.buffer(array.shape, array.dtype) for key, array in batch.items()}
    for key, array in pinned.items():
        array[:] = batch[key]
    for _ in range(captured.WARM + 1):
        agent.train((), pinned, 0.5)
    torch.cuda.set_sync_debug_mode("error")
    try:
        agent.train((), pinned, 0.5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert agent.metrics()


def test_a_recording_is_made_anew_for_other_shapes() -> None:
    total = torch.zeros(2, device="cuda")
    double = captured.Captured(lambda x: (total.add_(x.sum()), 2 * x)[1], torch.device("cuda"))
    for count in (2, 5):
        for call in range(captured.WARM + 3):
            given = torch.full((count,), float(call))
            assert torch.equal(double(given).cpu(), 2 * given)
    assert total.tolist() == [sum(range(captured.WARM + 3)) * 7.0] * 2


@pytest.mark.parametrize("name", NAMES)
def test_what_a_gpu_saves_the_processor_loads(name: str) -> None:
    there, here = made(name, "cuda", "float32"), made(name, "cpu", "float32")
    there.train((), batch_for(there), 0.5)
    here.load(there.save())
    assert toys.same(here.save()["parts"], there.save()["parts"])


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_state_goes_on_in_a_recording(name: str) -> None:
    agent = made(name, "cuda", "float32")
    batch = batch_for(agent)
    for _ in range(captured.WARM + 2):
        agent.train((), batch, 0.5)
    state = agent.save()
    after = []
    for _ in range(2):  # Once as it goes on, once from where it was.
        agent.train((), batch, 0.5)
        after.append(agent.metrics())
        agent.train((), batch, 0.5)
        agent.load(state)
    assert after[1] == pytest.approx(after[0], rel=1e-2, abs=1e-3)
