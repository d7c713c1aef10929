"""Random streams keyed by names.

A stream depends on what it is for, never on when it was asked for: the order of environments and
the number of workers change nothing, and neighbouring seeds do not overlap (integer seeds do: base
seed 1 with 8 environments uses 1..8, base seed 2 uses 2..9).

Source: numpy.random.SeedSequence.
"""

import hashlib

import numpy as np


def sequence(*names: str | int) -> np.random.SeedSequence:
    """Returns the seed sequence of a name, such as ("ppo", "pong", 0, "train", 3)."""
    text = "/".join(f"{len(str(name))}:{name}" for name in names)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")
    return np.random.SeedSequence(words.tolist())


def generator(*names: str | int) -> np.random.Generator:
    """Returns a fresh generator for a name."""
    return np.random.Generator(np.random.PCG64(sequence(*names)))


def integer(*names: str | int) -> int:
    """Returns a seed below 2**31 for a program that takes one integer."""
    return int(sequence(*names).generate_state(1)[0] & 0x7FFFFFFF)


def save(rng: np.random.Generator) -> dict:
    """Returns the state of a generator as plain values (integers of up to 128 bits)."""
    return rng.bit_generator.state


def load(rng: np.random.Generator, state: dict) -> None:
    """Puts a generator back into a saved state."""
    rng.bit_generator.state = state
