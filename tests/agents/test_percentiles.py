"""The scale of returns."""

import pytest
import torch

from agents.parts.percentiles import Percentiles, quantile


@pytest.mark.parametrize("count", [1, 2, 7, 21, 1000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_quantiles_are_linear_between_two_numbers(count, share):
    ordered = torch.randn(count, generator=torch.Generator().manual_seed(0)).sort().values
    torch.testing.assert_close(quantile(ordered, share), torch.quantile(ordered, share))


def test_averages_start_at_zero_and_move_by_the_rate():
    scale, returns = Percentiles(0.1, 1e-8), torch.arange(101.0).view(1, 101)
    for step in range(1, 4):
        found = scale.update(returns)
        share = 1 - 0.9**step
        assert scale.low.item() == pytest.approx(5 * share)
        assert scale.high.item() == pytest.approx(95 * share)
        assert found.item() == pytest.approx(90 * share)


def test_small_returns_are_not_blown_up():
    scale = Percentiles(1.0, 1.0)
    assert scale.update(torch.linspace(0, 1e-3, 50)).item() == 1.0
    assert scale.update(torch.linspace(0, 20, 50)).item() > 1.0


def test_the_averages_are_saved_with_the_module():
    one, other = Percentiles(0.5, 1.0), Percentiles(0.5, 1.0)
    one.update(torch.linspace(-10, 10, 50))
    other.load_state_dict(one.state_dict())
    assert (other.low, other.high) == (one.low, one.high)
    assert not other.scale.requires_grad
