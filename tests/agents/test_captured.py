"""A function that a GPU records: what is the same everywhere; test_cuda.py has the rest."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, is_tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents.parts import captured, torch_agent
from tests.agents import test_cuda


class Pair(NamedTuple):
    one: Tensor
    two: Tensor


def tree():
    a, b, c = (torch.full((n,), float(n)) for n in (1, 2, 3))
    return {"a": a}, Pair(b, c), ()


def test_the_processor_calls_the_function_itself():
    seen = []
    called = captured.Captured(
        lambda *inputs: seen.append(inputs) or inputs[0], torch.device("cpu")
    )
    given = tree()
    for _ in range(captured.WARM + 2):
        assert called(*given) is given[0]
    assert called.graph is None and len(seen) == captured.WARM + 2


def test_trees_keep_their_form_and_order():
    given = tree()
    assert [len(each) for each in captured.leaves(given)] == [1, 2, 3]
    data, pair, nothing = captured.mapped(given, lambda each: each + 1)
    assert isinstance(pair, Pair) and nothing == ()
    assert [each[0].item() for each in (data["a"], *pair)] == [2.0, 3.0, 4.0]


def test_a_recording_serves_the_shapes_and_types_that_it_was_made_of():
    given = tree()
    longer = captured.mapped(given, lambda each: torch.cat([each, each]))
    finer = captured.mapped(given, lambda each: each.double())
    assert captured.shapes(given) == captured.shapes(captured.mapped(given, torch.zeros_like))
    assert captured.shapes(given) not in (captured.shapes(longer), captured.shapes(finer))
    one, two = torch.zeros(3), torch.ones(3)
    swapped = captured.shapes({"two": two, "one": one})
    assert captured.shapes({"one": one, "two": two}) != swapped


class Apart(TorchDispatchMode):
    """Notes whatever mixes two devices."""

    def __init__(self):
        super().__init__()
        self.mixed = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if len({each.device for each in tree_leaves((args, kwargs, out)) if is_tensor(each)}) > 1:
            self.mixed.append(func.name())
        return out


@pytest.mark.parametrize("name", test_cuda.NAMES)
def test_an_update_takes_nothing_from_the_processor(name, monkeypatch):
    """A device without numbers stands in for a GPU: it cannot be waited for either."""
    here, given = test_cuda.made(name, "cpu", "float32"), []
    function = here.recorded.function
    here.recorded.function = lambda *inputs: given.append(inputs) or function(*inputs)
    here.train((), test_cuda.batch_for(here), 0.5)
    monkeypatch.setattr(torch_agent, "choose_device", torch.device)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind=None: False)  # Not known there.
    there = test_cuda.made(name, "meta", "float32").recorded.function
    given = captured.mapped(given[0], lambda each: each.to("meta"))
    there(*given)  # What stays on the device is brought there once.
    with Apart() as seen:
        there(*given)
    assert seen.mixed == []
