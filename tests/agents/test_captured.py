"""A function that a GPU records: what is the same everywhere; test_cuda.py has the rest."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.parts import captured


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
