"""The recurrent model of DreamerV3 of January 2023, beside its equations; how episodes begin."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.agents.january import ACTIONS, made_up, norm, shaken, silu_norm, small


def test_the_memory_is_a_dense_gru_with_a_norm_over_all_its_gates():
    agent = shaken(small())
    gru, x, h = agent.rssm.gru, torch.randn(2, 32), torch.randn(2, 64)
    assert gru.linear.bias is None
    pre = torch.cat([h, x], 1) @ gru.linear.weight.T
    reset, candidate, update = norm(pre, gru.norm.weight, gru.norm.bias).split(64, 1)
    update = torch.sigmoid(update - 1)
    wanted = update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * h
    torch.testing.assert_close(gru(x, h), wanted)


def test_prior_and_posterior_have_one_layer_and_hold_uniform():
    agent = shaken(small())
    rssm, deter, embedding = agent.rssm, torch.randn(5, 64), torch.randn(5, 1, 512)
    hidden = silu_norm(deter @ rssm.prior_hidden.linear.weight.T, rssm.prior_hidden.norm)
    logits = hidden @ rssm.prior_out.weight.T + rssm.prior_out.bias
    probs = 0.99 * logits.view(5, 8, 8).softmax(-1) + 0.01 / 8
    torch.testing.assert_close(rssm.prior(deter).view(5, 8, 8).exp(), probs)
    state = {"deter": deter, "stoch": torch.zeros(5, 64)}
    no, noise = torch.zeros(5, 1, dtype=torch.bool), torch.rand(5, 1, 8)
    seen = rssm.observe(state, torch.zeros(5, 1, ACTIONS), embedding, no, noise)
    both = torch.cat([seen["deter"], embedding], -1)
    layer = rssm.posterior_hidden
    hidden = silu_norm(both @ layer.linear.weight.T, layer.norm)
    logits = (hidden @ rssm.posterior_out.weight.T + rssm.posterior_out.bias).view(5, 1, 8, 8)
    found = seen["posterior"].view(5, 1, 8, 8).exp()
    torch.testing.assert_close(found, 0.99 * logits.softmax(-1) + 0.01 / 8)


def test_an_episode_begins_in_a_state_that_is_learnt():
    agent = shaken(small())
    rssm = agent.rssm
    deter = torch.tanh(rssm.start)
    best = rssm.prior(deter).view(8, 8).argmax(-1)
    state = agent.initial(2)
    torch.testing.assert_close(state["deter"], deter.expand(2, -1))
    assert torch.equal(state["stoch"].view(2, 8, 8).argmax(-1), best.expand(2, -1))
    rng = np.random.default_rng(0)
    carry = agent.init(2) | {"action": np.ones(2, np.int64)}
    noise = {"deter": np.random.default_rng(1).normal(size=(2, 64)).astype(np.float32)}
    lost = {"state": carry["state"] | noise, "action": carry["action"]}
    obs = {"image": made_up(agent)["image"][:2, 0], "is_first": np.array([True, False])}
    found = agent.policy(lost, obs, "train", rng)[0]["state"]["deter"]
    nothing = torch.zeros(1, ACTIONS)
    x = rssm.inward(torch.cat([state["stoch"][:1], nothing], -1))
    wanted = rssm.gru(x, deter[None])[0].detach().numpy()
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found[1], wanted, atol=1e-2)


def test_rows_around_a_reset_are_filtered_as_two_sequences():
    agent = shaken(small())
    rssm, state = agent.rssm, agent.initial(2)
    action = F.one_hot(torch.randint(0, ACTIONS, (2, 6)), ACTIONS).float()
    embedding, noise = torch.randn(2, 6, rssm.posterior_hidden.linear.weight.shape[1] - 64), None
    noise, first = torch.rand(2, 6, 8), torch.zeros(2, 6, dtype=torch.bool)
    first[:, 0] = first[0, 3] = True
    whole = rssm.observe(state, action, embedding, first, noise)
    first = torch.tensor([[True, False, False]])
    part = slice(3, 6)
    after = rssm.observe(agent.initial(1), action[:1, part], embedding[:1, part], first,
                         noise[:1, part])  # fmt: skip
    for name in after:
        torch.testing.assert_close(whole[name][:1, part], after[name])
    gradient = torch.autograd.grad(whole["deter"][0, 4].sum(), rssm.start)[0]
    assert gradient.any(), "the beginning learns"


def test_step_by_step_the_model_does_what_it_does_over_rows():
    agent = shaken(small())
    rssm, state = agent.rssm, agent.initial(2)
    action = F.one_hot(torch.randint(0, ACTIONS, (2, 4)), ACTIONS).float()
    embedding, noise = torch.randn(2, 4, 512), torch.rand(2, 4, 8)
    no = torch.zeros(2, 4, dtype=torch.bool)
    whole = rssm.observe(state, action, embedding, no, noise)
    for row in range(4):
        imagined = rssm.imagine(state, action[:, row], noise[:, row])
        pieces = (each[:, row : row + 1] for each in (action, embedding, no, noise))
        state = {name: tensor[:, 0] for name, tensor in rssm.observe(state, *pieces).items()}
        for name in ("deter", "prior"):
            torch.testing.assert_close(imagined[name], whole[name][:, row])
        for name in state:
            torch.testing.assert_close(state[name], whole[name][:, row])
