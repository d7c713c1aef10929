"""Generalised advantages and lambda-returns against their definitions, as double loops.

The loops are mixtures of n-step returns, written without any recursion.
"""

import numpy as np
import pytest
import torch

from agents.parts import returns
from tests.agents import toys

DISCOUNT = 0.9
every_lam = pytest.mark.parametrize("lam", [0.0, 0.95, 1.0])


def mixture(estimates, lam):
    """Returns (1 - lam) sum_n lam^(n-1) G_n, the last with all the weight that is left."""
    weights = [(1 - lam) * lam**n for n in range(len(estimates) - 1)]
    weights.append(lam ** (len(estimates) - 1))
    return sum(weight * estimate for weight, estimate in zip(weights, estimates, strict=True))


def advantage(rows, value, stream, start, lam):
    """Returns an advantage by its definition: n-step returns until the episode or rollout ends."""
    estimates, total = [], 0.0
    for row in range(start + 1, value.shape[1]):
        steps = row - start
        total += DISCOUNT ** (steps - 1) * rows["reward"][stream, row]
        follows = 0.0 if rows["is_terminal"][stream, row] else value[stream, row]
        estimates.append(total + DISCOUNT**steps * follows - value[stream, start])
        if rows["is_last"][stream, row]:
            break
    return mixture(estimates, lam)


def world(seed, streams=6, count=15):
    rng = np.random.default_rng(seed)
    rows = toys.made_up(streams, count, rng, (1, 1, 1))
    return rows, rng.normal(size=(streams, count)).astype(np.float32)


def gae(rows, value, lam):
    flags = [torch.from_numpy(rows[name]) for name in ("is_terminal", "is_last")]
    reward = torch.from_numpy(rows["reward"])
    return returns.gae(reward, torch.from_numpy(value), *flags, DISCOUNT, lam).numpy()


@every_lam
@pytest.mark.parametrize("seed", range(5))
def test_advantages_are_mixtures_of_n_step_returns(lam, seed):  # 003#4, 004#1, 001#14
    rows, value = world(seed)
    found, exists = gae(rows, value, lam), ~rows["is_last"][:, :-1]
    assert rows["is_terminal"].any() and (rows["is_last"] & ~rows["is_terminal"]).any()
    for stream, start in zip(*exists.nonzero(), strict=True):
        wanted = advantage(rows, value, stream, start, lam)
        assert found[stream, start] == pytest.approx(wanted, abs=1e-5)


@every_lam
def test_nothing_is_bootstrapped_after_termination(lam):
    rows, value = world(0)
    changed = value.copy()
    changed[rows["is_terminal"]] += 100
    exists = ~rows["is_last"][:, :-1]
    assert np.array_equal(gae(rows, value, lam)[exists], gae(rows, changed, lam)[exists])


def test_a_truncated_episode_bootstraps_from_its_final_observation():  # 000#9
    rows, value = world(0)
    cut = rows["is_last"] & ~rows["is_terminal"]
    changed = value.copy()
    changed[cut] += 1
    moved = gae(rows, changed, 0.0) - gae(rows, value, 0.0)
    before = cut[:, 1:] & ~rows["is_last"][:, :-1]
    assert moved[before] == pytest.approx(DISCOUNT, abs=1e-5)


@every_lam
def test_no_advantage_reaches_over_a_reset(lam):  # 000#4
    rows, value = world(0)
    stream, row = map(int, np.argwhere(rows["is_first"][:, 4:-2])[0] + [0, 4])
    changed = {name: array.copy() for name, array in rows.items()}
    changed["reward"][stream, row:] += 50
    other = value.copy()
    other[stream, row:] -= 50
    assert np.array_equal(
        gae(rows, value, lam)[stream, : row - 1], gae(changed, other, lam)[stream, : row - 1]
    )


def imagined(seed, steps=9, count=4):
    rng = torch.Generator().manual_seed(seed)
    reward = torch.randn(steps, count, generator=rng, dtype=torch.float64)
    follow = torch.rand(steps, count, generator=rng, dtype=torch.float64)
    value = torch.randn(steps + 1, count, generator=rng, dtype=torch.float64)
    return reward, follow, value


@every_lam
@pytest.mark.parametrize("seed", range(3))
def test_imagined_returns_are_mixtures_of_n_step_returns(lam, seed):  # 003#4, 004#1
    reward, follow, value = imagined(seed)
    steps, count = reward.shape
    found = returns.lambda_return(reward, follow, value, lam)
    for start in range(steps):
        for state in range(count):
            estimates, total, reached = [], 0.0, 1.0
            for step in range(start, steps):
                total += reached * reward[step, state]
                reached *= follow[step, state]
                estimates.append(total + reached * value[step + 1, state])
            wanted = float(mixture(estimates, lam))
            assert float(found[start, state]) == pytest.approx(wanted, abs=1e-9)


def test_the_last_imagined_value_counts_and_the_first_does_not():
    reward, follow, value = imagined(0)
    base = returns.lambda_return(reward, follow, value, 0.95)
    for index, matters in ((0, False), (-1, True)):
        other = value.clone()
        other[index] += 1
        moved = returns.lambda_return(reward, follow, other, 0.95) != base
        assert bool(moved.any()) == matters


def test_a_state_weighs_as_much_as_it_is_likely_to_be_reached():  # 000#5
    alive = torch.tensor([[1.0, 0.5], [0.0, 0.5], [1.0, 0.5]])
    assert returns.weights(alive).tolist() == [[1.0, 1.0], [1.0, 0.5], [0.0, 0.25]]
