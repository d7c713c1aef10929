"""Numbers over bins of squashed numbers: the vector of the specification, and by hand."""

import torch

from agents.parts import symlog_twohot
from tests.agents import vectors

VECTORS = vectors.load()


def test_a_number_lies_between_two_bins_in_squashed_units():
    bins = symlog_twohot.bins()
    assert len(bins) == 255 and bins[127] == 0 and torch.equal(bins, -bins.flip(0))
    torch.testing.assert_close(bins, torch.linspace(-20, 20, 255))
    for row in VECTORS["twohot_v3_2023"]["rows"]:
        wanted = torch.zeros(255)
        wanted[row["lower_index"]] += row["weight_lower"]
        wanted[row["upper_index"]] += row["weight_upper"]
        target, logits = torch.tensor([row["target"]]), torch.randn(1, 255)
        error = -(wanted * logits.log_softmax(-1)).sum(-1)
        found = symlog_twohot.cross_entropy(logits, bins, target)
        torch.testing.assert_close(found, error, rtol=1e-4, atol=1e-4)
        told = symlog_twohot.mean((wanted + 1e-30).log()[None], bins)
        torch.testing.assert_close(told, target, rtol=1e-4, atol=1e-5)


def test_the_mean_is_of_squashed_numbers_and_only_then_stretched():
    bins, logits = symlog_twohot.bins(), torch.full((1, 255), -1e9)
    logits[0, [140, 160]] = 0.0
    middle = (bins[140] + bins[160]) / 2
    found = symlog_twohot.mean(logits, bins)
    torch.testing.assert_close(found, torch.expm1(middle)[None])
    assert found < 0.5 * (torch.expm1(bins[140]) + torch.expm1(bins[160]))
    assert symlog_twohot.mean(torch.zeros(3, 255), bins).tolist() == [0, 0, 0]
