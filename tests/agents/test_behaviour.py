"""Learning in imagination against loops as the formulas are written."""

import numpy as np
import pytest
import torch
from torch import nn

from agents.parts import behaviour, categorical, returns

STEPS, PLAYS, ACTIONS = 4, 3, 5


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_return_of_a_state_holds_its_own_reward_and_discount():
    reward, value = numbers(STEPS + 1, PLAYS, seed=1), numbers(STEPS + 1, PLAYS, seed=2)
    discount = numbers(STEPS + 1, PLAYS, seed=3).sigmoid()
    found = behaviour.target(reward, discount, value, 0.9)
    for play in range(PLAYS):
        ahead = value[-1, play]
        for k in reversed(range(STEPS)):
            mixed = 0.1 * value[k + 1, play] + 0.9 * ahead
            ahead = reward[k, play] + discount[k, play] * mixed
            torch.testing.assert_close(found[k, play], ahead)


def test_after_a_terminal_start_only_the_start_itself_counts():
    predicted = torch.full((STEPS, 2), 0.9)
    discount = behaviour.discounts(predicted, torch.tensor([True, False]), 0.99)
    weight = returns.weights(discount)
    assert weight[:, 0].tolist() == [1, 0, 0, 0]
    torch.testing.assert_close(weight[:, 1], torch.tensor([1, 0.99, 0.99 * 0.9, 0.99 * 0.81]))
    assert torch.equal(behaviour.discounts(predicted, None, 0.99), predicted)


def objective(gradient="reinforce", mix=0.1, entropy_scale=0.0, ahead=True, target=None):
    logits = numbers(STEPS, PLAYS, ACTIONS, seed=4).requires_grad_()
    index = torch.randint(ACTIONS, (STEPS, PLAYS), generator=torch.Generator().manual_seed(5))
    action = categorical.one_hot(index, ACTIONS)
    target = numbers(STEPS, PLAYS, seed=6) if target is None else target
    baseline, weight = numbers(STEPS, PLAYS, seed=7), numbers(STEPS, PLAYS, seed=8).sigmoid()
    found = behaviour.actor_objective(
        logits, action, target, baseline, weight, gradient, mix, entropy_scale, ahead
    )
    return found, logits, index, target, baseline, weight


@pytest.mark.parametrize("ahead", [True, False], ids=["next", "same"])
def test_an_action_is_judged_by_the_return_that_it_could_change(ahead):
    found, logits, index, target, baseline, weight = objective(entropy_scale=0.3, ahead=ahead)
    logp, terms = logits.log_softmax(-1), []
    for k in range(STEPS - ahead):
        for play in range(PLAYS):
            advantage = target[k + ahead, play] - baseline[k, play]
            entropy = -(logp[k, play].exp() * logp[k, play]).sum()
            gain = logp[k, play, index[k, play]] * advantage + 0.3 * entropy
            terms.append(-weight[k, play] * gain)
    wanted = torch.stack(terms).mean()
    torch.testing.assert_close(found.loss, wanted)
    grads = [torch.autograd.grad(loss, logits)[0] for loss in (found.loss, wanted)]
    torch.testing.assert_close(*grads)


def test_both_gradients_are_mixed_as_asked():
    target = numbers(STEPS, PLAYS, seed=6).requires_grad_()
    losses = {
        name: objective(name, mix=0.25, target=target)[0].loss
        for name in ("reinforce", "dynamics", "both")
    }
    torch.testing.assert_close(
        losses["both"], 0.25 * losses["dynamics"] + 0.75 * losses["reinforce"]
    )
    assert not losses["reinforce"].isnan()
    grad = torch.autograd.grad(losses["dynamics"], target)[0]
    assert grad[1:].all() and not grad[0].any()


def test_the_critic_is_drawn_to_the_return_and_never_moves_it():
    value, target = numbers(STEPS, PLAYS).requires_grad_(), numbers(STEPS, PLAYS, seed=1)
    weight = numbers(STEPS, PLAYS, seed=2).sigmoid()
    loss = behaviour.critic_loss(value, target.requires_grad_(), weight.requires_grad_())
    grads = torch.autograd.grad(loss, [value, target, weight], allow_unused=True)
    torch.testing.assert_close(grads[0], weight * (value - target) / value.numel())
    assert grads[1] is None and grads[2] is None


def test_play_begins_at_the_start_and_the_actor_sees_no_gradient():
    actor = nn.Linear(2, ACTIONS)

    def step(state, action, noise):
        return {"x": state["x"] + action @ torch.ones(ACTIONS, 2) + noise[:, None]}

    start = {"x": numbers(PLAYS, 2).requires_grad_()}
    chance = torch.rand(STEPS, PLAYS, generator=torch.Generator().manual_seed(0))
    play = behaviour.imagine(step, lambda s: s["x"], actor, start, chance, chance)
    assert play.feature.shape == (STEPS + 1, PLAYS, 2)
    assert torch.equal(play.feature[0], start["x"])
    moved = play.feature[1:] - play.feature[:-1]
    torch.testing.assert_close(moved, 1 + chance[..., None].expand(-1, -1, 2))
    # Each action adds 1 whatever it is, so that what is left is the path through the state alone.
    grad = torch.autograd.grad(play.feature[-1].sum(), start["x"])[0]
    torch.testing.assert_close(grad, torch.ones(PLAYS, 2))


@pytest.mark.parametrize(("every", "fraction"), [(1, 0.02), (3, 0.5), (2, 1.0)])
def test_a_slow_copy_starts_equal_and_then_follows_in_steps(every, fraction):
    torch.manual_seed(0)
    slow, fast = nn.Linear(2, 1), nn.Linear(2, 1)
    wanted = slow.weight.detach().numpy().copy()
    for update in range(7):
        with torch.no_grad():
            fast.weight.add_(1.0)
        behaviour.follow(slow, fast, update, every, fraction)
        if update % every == 0:
            share = fraction if update else 1.0
            wanted = share * fast.weight.detach().numpy() + (1 - share) * wanted
        np.testing.assert_allclose(slow.weight.detach().numpy(), wanted, rtol=1e-5)
