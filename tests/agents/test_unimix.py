"""One-hot latents that hold a share of the uniform distribution."""

import pytest
import torch

from agents.parts import categorical, unimix


def test_one_percent_is_uniform():
    found = unimix.mixed(torch.tensor([[[100.0, 0.0, 0.0, 0.0]]]))
    torch.testing.assert_close(found, torch.tensor([[[0.9925, 0.0025, 0.0025, 0.0025]]]))


def test_draws_invert_the_cumulative_distribution():
    probs = torch.tensor([[0.2, 0.5, 0.3]]).expand(6, 1, 3)
    uniform = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1.0]).view(6, 1)
    assert categorical.choose(probs, uniform).flatten().tolist() == [0, 0, 1, 1, 2, 2]
    never = torch.tensor([[[0.0, 1.0]]])
    assert categorical.choose(never, torch.zeros(1, 1)).tolist() == [[1]], (
        "what cannot be is not drawn"
    )


@pytest.mark.parametrize("classes", [1, 2, 4, 33, 64])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_drawing_in_one_pass_is_mixing_and_choosing(classes, kind):
    torch.manual_seed(0)
    logits, uniform = (3 * torch.randn(500, 7, classes)).to(kind), torch.rand(500, 7)
    uniform[0], uniform[1] = 0.0, 1 - 2**-24
    found, wanted = unimix.draw(logits, uniform), categorical.choose(unimix.mixed(logits), uniform)
    assert found.dtype == torch.int64 and ((found >= 0) & (found < classes)).all()
    # Sums in another order may fall on the other side of a number now and then.
    assert (found != wanted).float().mean() <= 1e-3


def test_classes_come_as_often_as_they_are_likely():
    torch.manual_seed(0)
    logits = torch.tensor([[1.0, 0.0, -2.0, 3.0]])
    found = unimix.draw(logits.expand(40_000, 1, 4), torch.rand(40_000, 1))
    shares = torch.bincount(found.flatten(), minlength=4) / len(found)
    torch.testing.assert_close(shares, unimix.mixed(logits)[0], atol=0.01, rtol=0)


def test_draws_are_one_hot_with_the_gradient_of_the_mixed_probabilities():
    logits, index = torch.randn(5, 2, 3, requires_grad=True), torch.randint(0, 3, (5, 2))
    weigh = torch.randn(5, 6)
    probs = unimix.mixed(logits)
    stoch = unimix.straight_through(probs, index, torch.float32)
    torch.testing.assert_close(stoch, unimix.one_hot(index, 3, torch.float32))
    (found,) = torch.autograd.grad((stoch * weigh).sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad((probs.flatten(1) * weigh).sum(), logits)
    torch.testing.assert_close(found, wanted)


def test_a_divergence_is_zero_of_itself_and_finite_of_opposites():
    one, other = (unimix.mixed(100 * torch.eye(4)[[k]][None]) for k in (0, 1))
    assert unimix.divergence(one, one).tolist() == [0.0]
    assert 0 < unimix.divergence(one, other) < 7
    uniform = torch.full((1, 2, 4), 0.25)
    assert unimix.entropy(uniform).item() == pytest.approx(2 * torch.tensor(4.0).log().item())
