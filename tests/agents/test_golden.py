"""Short loss traces, recorded: they change only when an algorithm changes, which moves scores.

To record them anew after such a change: `python -m tests.agents.test_golden`, or some of them:
`python -m tests.agents.test_golden dreamerv3`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.agents import toys

RECORDED = Path(__file__).with_name("golden.json")
FRESH = ("ppo", "dreamer_ppo", "dreamer_ppo+aux", "dreamer_ppo+seed")
REPLAYED = (
    "dreamerv1",
    "dreamerv2",
    "dreamerv2+paper",
    "dreamerv3+debug",
    "dreamerv3_2023+debug",
)
LABELS = FRESH + REPLAYED


def trace(label: str) -> list[dict[str, float]]:
    """Returns the metrics of some updates, in float32."""
    return rollouts(label) if label in FRESH else batches(label)


def batches(label: str) -> list[dict[str, float]]:
    """Returns the metrics of four updates on batches of replay."""
    agent, rng = toys.little(*label.split("+"), "float32", seed=1), np.random.default_rng(1)
    found, carry = [], ()
    for _ in range(4):
        carry, _ = agent.train(carry, toys.served(agent, rng), 0.5)
        found.append(agent.metrics())
    return found


def rollouts(label: str) -> list[dict[str, float]]:
    """Returns the metrics of each update of two rollouts."""
    agent, rng = toys.small(*label.split("+"), seed=1), np.random.default_rng(1)
    found = []
    for progress in (0.04, 0.5):
        batch = toys.rollout(agent, rng)
        for _ in range(toys.updates(agent)):
            agent.train((), batch, progress)
            found.append(agent.metrics())
    return found


@pytest.mark.parametrize("label", LABELS)
def test_losses_are_the_recorded_ones(label):
    found, wanted = trace(label), json.loads(RECORDED.read_text())[label]
    assert len(found) == len(wanted)
    for update, (one, other) in enumerate(zip(found, wanted, strict=True)):
        # Machines round differently; what the seed imagines in 128 steps magnifies that.
        rough = [name for name in other if "imagined" in name and label.endswith("seed")]
        fine = {name: value for name, value in other.items() if name not in rough}
        assert one.keys() == other.keys(), update
        assert {name: one[name] for name in fine} == pytest.approx(fine, rel=1e-3, abs=1e-5), update


@pytest.mark.parametrize("label", LABELS)
def test_a_trace_repeats_itself_bit_for_bit(label):
    assert trace(label) == trace(label)


if __name__ == "__main__":
    # Of all, or of those that are named.
    held = json.loads(RECORDED.read_text()) if sys.argv[1:] else {}
    held |= {label: trace(label) for label in sys.argv[1:] or LABELS}
    RECORDED.write_text(json.dumps(held, indent=1) + "\n")
