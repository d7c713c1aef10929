"""What the torch agents share: seeding, NumPy in and out, metrics and checkpoints.

Source: house rules; the state of torch.optim optimisers as documented by PyTorch.
Shapes: B streams.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents import base
from agents.parts import native


class TorchAgent:
    """Holds named parts, a generator and partial sums, and saves all of them.

    Subclasses fill `self.parts` with modules and optimisers.
    """

    def __init__(self, config: base.Config, seed: int, device: str):
        """Prepares an agent without parts."""
        self.config, self.device = config, choose_device(device)
        native.keep_memory()
        torch.backends.cudnn.allow_tf32 = False  # Else float32 convolutions keep 10 bits.
        self.generator = torch.Generator().manual_seed(seed)
        self.parts: dict[str, nn.Module | torch.optim.Optimizer] = {}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def init(self, batch: int) -> base.Carry:
        """Returns nothing: a policy without memory."""
        return ()

    def buffer(self, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        """Returns an array of the loop's that this device can read fast."""
        array = torch.from_numpy(np.zeros(shape, kind))
        return (array.pin_memory() if self.device.type == "cuda" else array).numpy()

    def tensor(self, array: np.ndarray) -> Tensor:
        """Puts an array on the device, without a copy on the CPU."""
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def pinned(self, tensor: Tensor) -> Tensor:
        """Returns a tensor of the processor where the device can fetch it by itself."""
        return tensor.pin_memory() if self.device.type == "cuda" else tensor

    def accumulate(self, values: dict[str, Tensor]) -> None:
        """Adds scalar metrics of one update to the partial sums, on the device."""
        for name, value in values.items():
            value = value.detach().to(torch.float64)
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def report(self, batch: base.Rows, rng: np.random.Generator) -> base.Tree:
        """Returns nothing: no model."""
        return {}

    def dream(self, carry: base.Carry, steps: int, rng: np.random.Generator) -> base.Rows:
        """Returns nothing: no model."""
        return {}

    def metrics(self) -> dict[str, float]:
        """Returns the means since the last call and starts anew."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def save(self) -> base.Tree:
        """Returns parts, generator and partial sums."""
        return {
            "parts": {name: to_tree(part.state_dict()) for name, part in self.parts.items()},
            "generator": self.generator.get_state().numpy(),
            "sums": {name: float(total) for name, total in self.sums.items()},
            "counts": dict(self.counts),
        }

    def load(self, state: base.Tree) -> None:
        """Goes back to a saved state."""
        for name, part in self.parts.items():
            part.load_state_dict(from_tree(state["parts"][name]))
        self.generator.set_state(torch.from_numpy(state["generator"].copy()))
        self.sums = {
            name: torch.tensor(total, dtype=torch.float64, device=self.device)
            for name, total in state["sums"].items()
        }
        self.counts = dict(state["counts"])


class Late:
    """Tensors on their way from the device: asked for one update later, nobody waits for them."""

    def __init__(self, tensors: Mapping[str, Tensor]):
        """Sends them off.

        Args:
            tensors: detached.
        """
        device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
        self.sent, self.tensors = None, dict(tensors)
        if device.type != "cuda":
            return
        for name, tensor in tensors.items():
            there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self.tensors[name] = there.copy_(tensor, non_blocking=True)
        self.sent = torch.cuda.Event()
        self.sent.record(torch.cuda.current_stream(device))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns them as arrays, once they are there."""
        if self.sent:
            self.sent.synchronize()
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}


class Frozen(dict):
    """Copies of modules for use without gradients, matrices cast once an update.

    In float32 they share the weights of their originals. Biases and gains stay float32.
    """

    def __init__(self, modules: Mapping[str, nn.Module], kind: torch.dtype):
        """Copies; `refresh` follows the originals.

        Args:
            modules: whose parameters are where they will stay.
            kind: of the matrices.
        """
        super().__init__()
        self.casts: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, module in modules.items():
            self[name] = copy.deepcopy(module).requires_grad_(False)
            for ours, original in zip(self[name].parameters(), module.parameters(), strict=True):
                if original.dim() < 2 or kind == torch.float32:
                    ours.data = original.data
                else:
                    ours.data = original.detach().to(kind)
                    self.casts[0].append(ours.data)
                    self.casts[1].append(original.data)

    def refresh(self) -> None:
        """Casts the originals' matrices anew."""
        if self.casts[0]:
            torch._foreach_copy_(*self.casts)


def choose_device(name: str) -> torch.device:
    """Returns a device by name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ValueError: there is no such device here.
    """
    cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device: {name!r} is not auto, cpu, cuda or cuda:<number>.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device: {name!r} is not here; there are {torch.cuda.device_count()}.")
    return device


def has_bf16(device: torch.device) -> bool:
    """Tells whether bf16 products are faster than float32 on this device."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision(name: str, device: torch.device) -> torch.dtype:
    """Returns the type of an agent's products for "float32", "bfloat16" or "auto"."""
    if name == "auto":
        return torch.bfloat16 if has_bf16(device) else torch.float32
    return getattr(torch, name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes torch's initialisers follow a seed, and leaves the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def to_tree(state: Any) -> Any:
    """Turns a state dict into arrays and plain values with string keys."""
    if isinstance(state, Tensor):
        # A copy: the optimiser goes on writing while the tree is being stored.
        return state.detach().cpu().numpy().copy()
    if isinstance(state, dict):
        return {str(key): to_tree(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [to_tree(value) for value in state]
    return state


def from_tree(tree: Any) -> Any:
    """Turns a tree back into a state dict; keys that are numbers become integers."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree.copy())
    if isinstance(tree, dict):
        return {int(k) if k.isdigit() else k: from_tree(value) for k, value in tree.items()}
    if isinstance(tree, list):
        return [from_tree(value) for value in tree]
    return tree
