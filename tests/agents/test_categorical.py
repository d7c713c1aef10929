"""One-hot variables against the formulas and against their own frequencies."""

import pytest
import torch

from agents.parts import categorical

VARIABLES, CLASSES = 3, 4


@pytest.fixture
def latent():
    return categorical.Categorical(VARIABLES, CLASSES)


def logits(seed=0, rows=5):
    return torch.randn(rows, VARIABLES * CLASSES, generator=torch.Generator().manual_seed(seed))


def test_draws_are_as_frequent_as_their_probabilities(latent):
    count = 20_000
    given = logits(rows=1).expand(count, -1)
    drawn = latent.sample(given, latent.noise(torch.Generator().manual_seed(1), count))
    probs = latent.groups(given[0]).softmax(-1).flatten()
    assert torch.equal(latent.groups(drawn).sum(-1), torch.ones(count, VARIABLES))
    error = (probs * (1 - probs) / count).sqrt()
    assert ((drawn.mean(0) - probs).abs() < 5 * error).all()


def test_numbers_at_the_edges_choose_classes_that_are_possible():
    probs = torch.tensor([[0.0, 0.5, 0.5, 0.0]]).expand(3, -1)
    uniform = torch.tensor([0.0, 0.5, 1 - 2**-24])
    assert categorical.choose(probs, uniform).tolist() == [1, 2, 2]
    short = torch.tensor([[0.3, 0.3, 0.3]])  # as if rounding had lost the rest
    assert categorical.choose(short, torch.tensor([0.95])).tolist() == [2]


def test_a_draw_has_the_gradient_of_the_probabilities(latent):
    given = logits().requires_grad_()
    up = torch.randn(5, VARIABLES * CLASSES, generator=torch.Generator().manual_seed(2))
    noise = latent.noise(torch.Generator().manual_seed(3), 5)
    found = torch.autograd.grad((latent.sample(given, noise) * up).sum(), given)[0]
    probs = latent.groups(given).softmax(-1).flatten(-2)
    wanted = torch.autograd.grad((probs * up).sum(), given)[0]
    torch.testing.assert_close(found, wanted)
    assert found.abs().max() > 0.01


def test_draws_can_be_forced_and_stay_one_hot(latent):
    forced = categorical.one_hot(torch.tensor([[1, 0, 3]] * 5), CLASSES)
    assert torch.equal(latent.sample(logits(), forced), forced.flatten(-2))


def test_divergence_and_entropy_are_those_of_torch(latent):
    one, other = logits(0), logits(1)
    made = [torch.distributions.Categorical(logits=latent.groups(each)) for each in (one, other)]
    wanted = torch.distributions.kl_divergence(*made).sum(-1)
    torch.testing.assert_close(latent.kl(one, other), wanted)
    torch.testing.assert_close(latent.entropy(one), made[0].entropy().sum(-1))
    assert (latent.kl(one, one) == 0).all()


def test_the_log_probability_gives_the_draw_no_gradient():
    given, sample = torch.randn(2, CLASSES), torch.eye(CLASSES)[:2].requires_grad_()
    given.requires_grad_()
    wanted = torch.distributions.OneHotCategorical(logits=given).log_prob(sample)
    found = categorical.log_prob(given, sample)
    torch.testing.assert_close(found, wanted)
    assert torch.autograd.grad(found.sum(), sample, allow_unused=True) == (None,)


def test_no_action_is_all_zeros_not_the_first_one():
    found = categorical.one_hot(torch.tensor([-1, 0, 2]), 3)
    assert found.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_the_mode_is_the_likeliest_class_of_each_variable(latent):
    given = logits()
    wanted = latent.groups(given).argmax(-1)
    assert torch.equal(latent.groups(latent.mode(given)).argmax(-1), wanted)
    assert torch.equal(latent.mode(given).sum(-1), torch.full((5,), float(VARIABLES)))
