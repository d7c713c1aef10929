"""A function of tensors that a GPU runs as one graph.

An update of a recurrent model is thousands of small kernels, and starting them one by one takes
longer than running them. After a few plain calls the launches are recorded once and replayed as
one. The plain calls are the twin: `graphs = False` keeps to them.

Source: https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Tree = Any  # Tensors in dicts and tuples.

WARM = 3  # Plain calls, in which libraries choose their kernels and take their memory.


class Captured:
    """Calls a function; on a GPU it sends the inputs there, and soon replays a recording.

    The function may change what it holds in place, as optimisers do, but it must do the same work
    on each call: nothing in it may wait for the device, read a number of the processor that
    changes, or draw.
    """

    def __init__(self, function: Callable[..., Tree], device: torch.device):
        """Records nothing yet.

        Args:
            function: takes and returns trees of tensors on the device.
            device: where it runs.
        """
        self.function, self.device, self.graphs = function, device, True
        self.inputs: tuple[Tree, ...] = ()
        self.calls, self.graph, self.found = 0, None, None
        self.sent: torch.cuda.Event | None = None

    def __call__(self, *inputs: Tree) -> Tree:
        """Returns what the function makes of tensors.

        Args:
            inputs: anywhere; in pinned memory nobody waits for them. They may change once the
                next call has begun.

        Returns:
            The function's result; on a GPU it is good until the next call.
        """
        if self.device.type != "cuda":
            return self.function(*inputs)
        self.send(inputs)
        self.calls += 1
        if not self.graphs or self.calls <= WARM:
            return self.function(*self.inputs)
        if self.graph is None:
            self.record()
        self.graph.replay()
        return self.found

    def send(self, inputs: tuple[Tree, ...]) -> None:
        """Copies inputs to where the recording reads them, once the last ones have arrived."""
        if self.sent:
            self.sent.synchronize()
        if shapes(inputs) != shapes(self.inputs):
            self.inputs = mapped(inputs, lambda each: torch.empty_like(each, device=self.device))
            self.calls, self.graph, self.found = 0, None, None
        for ours, theirs in zip(leaves(self.inputs), leaves(inputs), strict=True):
            ours.copy_(theirs, non_blocking=True)
        self.sent = torch.cuda.Event()
        self.sent.record(torch.cuda.current_stream(self.device))

    def record(self) -> None:
        """Records the function; nothing is computed."""
        self.graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(self.graph, capture_error_mode="thread_local"),
        ):
            self.found = self.function(*self.inputs)


def mapped(tree: Tree, change: Callable[[Tensor], Tensor]) -> Tree:
    """Returns a tree with all tensors changed."""
    if isinstance(tree, dict):
        return {name: mapped(value, change) for name, value in tree.items()}
    if isinstance(tree, tuple):
        found = [mapped(value, change) for value in tree]
        return type(tree)(*found) if hasattr(tree, "_fields") else tuple(found)
    return change(tree)


def leaves(tree: Tree) -> Iterator[Tensor]:
    """Yields the tensors of a tree in order."""
    if isinstance(tree, Tensor):
        yield tree
        return
    for value in tree.values() if isinstance(tree, dict) else tree:
        yield from leaves(value)


def shapes(tree: Tree) -> Any:
    """Returns what a recording is good for: names in their order, shapes and types."""
    if isinstance(tree, dict):
        return [(name, shapes(value)) for name, value in tree.items()]
    if isinstance(tree, tuple):
        return [shapes(value) for value in tree]
    return tree.shape, tree.dtype
