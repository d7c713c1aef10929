"""The numeric vectors of the specification, and what their checks share.

vectors.json holds 50 small computations with their results, in float64; each entry says what it
is. The checks are functions named like the entries, in the `vectors_*` modules beside this one.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("vectors.json")

Vector = dict[str, Any]


def load() -> dict[str, Vector]:
    return json.loads(FILE.read_text())


def near(found: Any, wanted: Any, atol: float = 1e-6, rtol: float = 1e-5) -> None:
    """Asserts that numbers are the wanted ones, to float32."""
    if isinstance(found, Tensor):
        found = found.detach().double().numpy()
    wanted = np.asarray(wanted, np.float64)
    assert np.shape(found) == wanted.shape, f"{np.shape(found)}, wanted {wanted.shape}"
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def tensor(numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def fill(shape: tuple[int, ...], shift: float) -> Tensor:
    """Returns the weights that the entries of the GRUs are computed with."""
    index = torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape)
    return (0.5 * torch.sin(shift + 0.7 * index)).float()


@torch.no_grad()
def put(parameter: Tensor, values: Tensor) -> None:
    """Fills a parameter; the shapes must be equal."""
    assert parameter.shape == values.shape, (parameter.shape, values.shape)
    parameter.copy_(values)
