"""The recurrent model: resets, its two ways to step, and what the divergence trains."""

import pytest
import torch

from agents.parts import categorical, dense, recurrent

STREAMS, ROWS, ACTIONS, EMBEDDING, DETER = 3, 6, 4, 10, 8

LATENTS = {"categorical": categorical.Categorical(3, 4), "gaussian": recurrent.Gaussian(5)}
both = pytest.mark.parametrize("name", LATENTS)


def model(name):
    torch.manual_seed(0)
    return recurrent.RSSM(LATENTS[name], ACTIONS, EMBEDDING, DETER, 16)


def rows(latent, seed=0):
    rng = torch.Generator().manual_seed(seed)
    index = torch.randint(ACTIONS, (STREAMS, ROWS), generator=rng)
    embedding = torch.randn(STREAMS, ROWS, EMBEDDING, generator=rng)
    first = torch.zeros(STREAMS, ROWS, dtype=torch.bool)
    first[1, 3] = first[0, 0] = True
    noise = latent.noise(rng, STREAMS, ROWS)
    return categorical.one_hot(index, ACTIONS), embedding, first, noise


def begun(rssm):
    """Returns a state in the middle of an episode."""
    rng = torch.Generator().manual_seed(9)
    return {k: torch.randn(v.shape, generator=rng) for k, v in rssm.initial(STREAMS).items()}


@both
def test_rows_at_once_are_rows_one_by_one(name):
    rssm = model(name)
    action, embedding, first, noise = rows(rssm.latent)
    whole = rssm.observe(begun(rssm), action, embedding, first, noise)
    state = begun(rssm)
    for t in range(ROWS):
        cut = (each[:, t : t + 1] for each in (action, embedding, first, noise))
        found = rssm.observe(state, *cut)
        for key, tensor in found.items():
            torch.testing.assert_close(tensor[:, 0], whole[key][:, t], rtol=1e-4, atol=1e-5)
        state = {key: found[key][:, 0] for key in state}


@both
def test_what_came_before_a_first_row_is_forgotten_by_its_stream_alone(name):
    rssm = model(name)
    action, embedding, first, noise = rows(rssm.latent)
    whole = rssm.observe(begun(rssm), action, embedding, first, noise)
    other = embedding.clone()
    other[:, :3] += 1.0
    changed = action.clone()
    changed[1, 3] = 0  # The action into a first row does not count.
    moved = rssm.observe(rssm.initial(STREAMS), changed, other, first, noise)
    for key in ("deter", "stoch", "posterior", "prior"):
        assert torch.equal(whole[key][1, 3:], moved[key][1, 3:]), key
        assert not torch.equal(whole[key][2, 3:], moved[key][2, 3:]), key


@both
def test_imagining_is_observing_without_the_embedding(name):
    rssm = model(name)
    action, embedding, first, noise = rows(rssm.latent)
    seen = rssm.observe(begun(rssm), action, embedding, torch.zeros_like(first), noise)
    state = rssm.imagine(begun(rssm), action[:, 0], noise[:, 0])
    torch.testing.assert_close(state["deter"], seen["deter"][:, 0])
    torch.testing.assert_close(state["prior"], seen["prior"][:, 0])
    assert rssm.feature(state).shape == (STREAMS, rssm.features)


@both
def test_gradients_reach_every_weight_through_draws_and_memory(name):
    rssm = model(name)
    action, embedding, first, noise = rows(rssm.latent)
    seen = rssm.observe(begun(rssm), action, embedding.requires_grad_(), first, noise)
    loss = (
        seen["stoch"][:, -1].square().sum() + rssm.latent.kl(seen["posterior"], seen["prior"]).sum()
    )
    grads = torch.autograd.grad(loss, [embedding, *rssm.parameters()])
    assert all(grad.any() for grad in grads)
    assert grads[0][2, 0].any()


@both
def test_the_balance_moves_prior_and_posterior_by_different_shares(name):  # 004#2
    latent = LATENTS[name]
    given = [torch.randn(7, latent.parameters, requires_grad=True) for _ in range(2)]
    plain = torch.autograd.grad(latent.kl(*given).mean(), given)
    for balance in (0.8, 0.3, 1.0):
        loss, value = recurrent.balanced(latent.kl, *given, balance, 0.0, False, True)
        torch.testing.assert_close(loss, latent.kl(*given).mean())
        torch.testing.assert_close(value, latent.kl(*given))
        posterior, prior = torch.autograd.grad(loss, given)
        torch.testing.assert_close(posterior, (1 - balance) * plain[0])
        torch.testing.assert_close(prior, balance * plain[1])


def test_below_the_free_nats_nothing_is_trained():
    latent = LATENTS["categorical"]
    given = [torch.randn(7, latent.parameters, requires_grad=True) for _ in range(2)]
    loss, _ = recurrent.balanced(latent.kl, *given, 0.8, 1e3, False, True)
    assert loss == 1e3
    assert not any(grad.any() for grad in torch.autograd.grad(loss, given))


def test_a_gaussian_latent_is_that_of_torch():
    latent = LATENTS["gaussian"]
    one, other = torch.randn(2, 7, latent.parameters)
    made = [torch.distributions.Normal(*latent.normal(each)) for each in (one, other)]
    wanted = torch.distributions.kl_divergence(*made).sum(-1)
    torch.testing.assert_close(latent.kl(one, other), wanted)
    torch.testing.assert_close(latent.entropy(one), made[0].entropy().sum(-1))
    extreme = latent.normal(torch.tensor([0.0] * 5 + [-99.0, 99.0, 0.0, 0.0, 0.0])).std
    torch.testing.assert_close(extreme, torch.tensor([0.1, 2.1, 1.1, 1.1, 1.1]))


def test_a_new_memory_moves_little_because_its_gate_is_mostly_shut():
    torch.manual_seed(0)
    cell, h = recurrent.NormGRU(6, 64), torch.randn(100, 64)
    share = ((cell(torch.zeros(100, 6), h) - h).abs() / (h.abs() + 1)).mean()
    assert share < 0.35


def test_a_perceptron_is_linear_layers_with_elu_between():
    torch.manual_seed(0)
    mlp, x = dense.MLP(3, 2, 5, 4), torch.randn(6, 3)
    names = [name for name, _ in mlp.named_parameters()]
    assert names == [
        f"{layer}.{leaf}"
        for layer in ("hidden.0", "hidden.1", "out")
        for leaf in ("weight", "bias")
    ]
    y = x
    for layer in mlp.hidden:
        y = torch.nn.functional.elu(y @ layer.weight.T + layer.bias)
    torch.testing.assert_close(mlp(x), y @ mlp.out.weight.T + mlp.out.bias)
    assert not mlp.out.bias.any() and mlp.out.weight.abs().max() <= (6 / 9) ** 0.5
