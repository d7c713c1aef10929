"""PPO: its terms, its minibatches, what is masked, and that it learns."""

import numpy as np
import pytest
import torch

from agents import base
from agents.parts import categorical, draws, ppo
from tests.agents import toys

BOTH = pytest.mark.parametrize("name", ["ppo", "dreamer_ppo"])
REWARDS = np.array([0.0, 1.0, -1.0])  # What each action of the toy world is worth.


def bandit(image, action):
    """A world in which the reward depends on the last action and on nothing else."""
    return REWARDS[action]


# Terms


def test_each_term_has_a_gradient_where_it_belongs_and_none_elsewhere():  # 000#1, 004#2
    agent = toys.small("ppo")
    losses, _ = toys.opened(agent, toys.rollout(agent, np.random.default_rng(0)))
    wanted = {
        "policy": {"encoder", "actor"},
        "entropy": {"encoder", "actor"},
        "value": {"encoder", "critic"},
    }
    assert losses.keys() == wanted.keys()
    for name, loss in losses.items():
        parts = {part: agent.parts[part] for part in ("encoder", "actor", "critic")}
        assert toys.reached(loss, parts) == wanted[name], name


def test_the_surrogate_is_the_minimum_of_ratio_and_clipped_ratio():
    ratio = torch.tensor([0.5, 0.95, 1.05, 2.0] * 2, requires_grad=True)
    advantage = torch.tensor([1.0] * 4 + [-1.0] * 4)
    loss = ppo.surrogate(ratio, advantage, 0.1)
    gains = [0.5, 0.95, 1.05, 1.1, -0.9, -0.95, -1.05, -2.0]
    assert float(loss.detach()) == pytest.approx(-sum(gains) / 8)
    (gradient,) = torch.autograd.grad(loss, ratio)
    assert (gradient * 8).tolist() == [-1.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("clip", [True, False])
def test_a_value_that_moved_too_far_has_no_gradient_only_where_that_is_clipped(clip):
    agent = toys.small("ppo", clip_value=clip, clip=0.1)
    agent.rollout = {"target": torch.tensor([1.0]), "value": torch.tensor([0.0])}
    value = torch.tensor([0.5], requires_grad=True)  # 0.4 beyond the clip, on the way to 1.
    loss = agent.value_loss(value, torch.tensor([0]))
    assert float(loss.detach()) == pytest.approx((0.9**2 if clip else 0.5**2) / 2)
    assert bool(torch.autograd.grad(loss, value)[0]) == (not clip)


def test_advantages_are_standardised_and_one_alone_becomes_nothing():
    found = ppo.standardise(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.std()) == pytest.approx(1, abs=1e-5)
    assert ppo.standardise(torch.tensor([7.0])).tolist() == [0.0]


def test_the_first_update_has_a_ratio_of_1():
    agent = toys.small("ppo")
    agent.train((), toys.rollout(agent, np.random.default_rng(0)), 0.1)
    metrics = agent.metrics()
    assert metrics["train/kl"] == pytest.approx(0, abs=1e-6)
    assert metrics["train/clip_fraction"] == 0


def test_the_learning_rate_falls_to_0_with_the_budget_and_nothing_is_learnt_at_its_end():
    agent = toys.small("ppo")
    batch = toys.rollout(agent, np.random.default_rng(0))
    for progress in (0.0, 0.25, 1.0):
        before = [param.detach().clone() for param in agent.params]
        toys.learn(agent, batch, progress)
        rates = {group["lr"] for group in agent.opt.param_groups}
        assert rates == {agent.config.learning_rate * (1 - progress)}
    assert all(map(torch.equal, before, agent.params))


def test_gradients_are_clipped_together():
    agent = toys.small("ppo", max_grad_norm=1e-3)
    agent.descend(sum(param.sum() for param in agent.params), 0.0)
    total = torch.cat([param.grad.flatten() for param in agent.params]).norm()
    assert float(total) == pytest.approx(1e-3, rel=1e-3)


# Minibatches and masks


def orders(agent, batch):
    """Returns the transitions of each minibatch of a rollout, in order."""
    seen, original = [], agent.minibatch
    agent.minibatch = lambda: seen.append(original()) or seen[-1]
    toys.learn(agent, batch)
    return [index.tolist() for index in seen]


@BOTH
def test_an_epoch_holds_every_transition_that_exists_once_in_an_order_of_its_own(name):  # 000#10
    agent = toys.small(name)
    batch = toys.rollout(agent, np.random.default_rng(0))
    seen = orders(agent, batch)
    assert len(seen) == 4  # Two epochs of two minibatches.
    first, second = ([*a, *b] for a, b in (seen[:2], seen[2:]))
    exists = np.flatnonzero(~batch["is_last"][:, :-1]).tolist()
    assert sorted(first) == sorted(second) == exists
    assert first != second


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_transition_is_picked_from_its_own_stream_and_row(ahead):
    rows = torch.arange(3 * 6).view(3, 6)  # Three streams of six rows, five transitions.
    index = torch.tensor([0, 4, 5, 9, 14])
    wanted = [0, 4, 6, 10, 16]
    assert ppo.pick(rows, index, ahead).tolist() == [each + ahead for each in wanted]


def garbage(batch, rng):
    """Returns the batch with nonsense where no transition is: answers to the last rows."""
    changed = {name: array.copy() for name, array in batch.items()}
    nowhere = batch["is_last"].copy()
    nowhere[:, -1] = True
    count = int(nowhere.sum())
    changed["action"][nowhere] = rng.integers(toys.ACTIONS, size=count)
    changed["logp"][nowhere] = rng.normal(size=count) * 100
    # The value of a truncated row is bootstrapped from, that of a terminal is not.
    dead = batch["is_terminal"] & nowhere
    changed["value"][dead] = rng.normal(size=int(dead.sum())) * 100
    changed["reward"][batch["is_first"]] = 50.0
    return changed


BLOCKS = pytest.mark.parametrize("label", ["ppo", "dreamer_ppo", "dreamer_ppo+ppo"])


@BLOCKS
def test_garbage_in_masked_rows_changes_nothing(label):  # 000#4
    ends = []
    for spoil in (False, True):
        agent = toys.small(*label.split("+"))
        rng = np.random.default_rng(0)
        batch = toys.rollout(agent, rng)
        assert batch["is_last"][:, :-1].any()
        toys.learn(agent, garbage(batch, rng) if spoil else batch)
        ends.append(agent.save())
    assert toys.same(*ends)


def test_only_existing_transitions_count_in_the_normalisation_of_advantages():
    agent = toys.small("ppo", training__minibatches=1)
    batch = toys.rollout(agent, np.random.default_rng(0))
    toys.opened(agent, batch)
    index = agent.minibatch()
    assert len(index) == (~batch["is_last"][:, :-1]).sum()
    advantage = ppo.standardise(agent.rollout["advantage"][index])
    assert float(advantage.mean()) == pytest.approx(0, abs=1e-6)


# Acting


def test_one_environment_alone_or_in_a_batch_gets_the_same_logits():  # 001#12
    agent = toys.small("ppo", actor_gain=1.0)
    image = toys.made_up(8, 1, np.random.default_rng(0))["image"][:, 0]
    with torch.no_grad():
        features = [
            agent.encoder(torch.from_numpy(images), agent.acting())
            for images in (image, *np.split(image, 8))
        ]
        together, *alone = (agent.actor(each) for each in features)
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-5, atol=1e-6)


def test_the_likeliest_action_is_taken_for_each_row_by_itself():  # 000#15
    agent = toys.small("ppo", actor_gain=1.0)
    obs = {name: x[:, 0] for name, x in toys.made_up(8, 1, np.random.default_rng(0)).items()}
    with torch.no_grad():
        features = agent.encoder(torch.from_numpy(obs["image"]), agent.acting())
        agent.actor.bias -= agent.actor(features).mean(0)  # So that rows differ.
        wanted = agent.actor(features).argmax(-1).tolist()
    _, together, _ = agent.policy((), obs, "greedy", np.random.default_rng(0))
    assert together.tolist() == wanted
    assert len(set(wanted)) > 1


def test_actions_are_drawn_as_often_as_the_policy_says():
    logp = torch.tensor([0.5, 0.3, 0.2]).log().expand(20_000, 3)
    drawn = draws.draw(logp, np.random.default_rng(0))
    shares = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), rtol=0, atol=0.015)


def test_a_number_just_below_1_draws_the_last_action():
    logp = torch.full((1, 7), 1 / 7).log()
    almost = torch.tensor([[np.nextafter(1.0, 0.0)]])
    assert categorical.choose(logp.double().exp(), almost[..., 0]).tolist() == [6]
    assert categorical.choose(
        logp.double().exp(), torch.zeros(1, dtype=torch.float64)
    ).tolist() == [0]


def test_acting_uses_the_weights_of_the_last_update():
    agent = toys.small("ppo", learning_rate=0.1)
    batch = toys.rollout(agent, np.random.default_rng(0))
    obs = {name: array[:, 0] for name, array in batch.items()}
    before = agent.policy((), obs, "train", np.random.default_rng(0))[2]
    agent.train((), batch, 0.1)
    after = agent.policy((), obs, "train", np.random.default_rng(0))[2]
    assert not np.array_equal(before["value"], after["value"])


def test_bf16_and_float32_agree_on_policy_and_value():
    kinds = {}
    for kind in ("float32", "bfloat16"):
        agent = toys.small("ppo", precision=kind, actor_gain=1.0)
        batch = toys.rollout(agent, np.random.default_rng(0))
        features = agent.encoder(torch.from_numpy(batch["image"][:, 0]), agent.acting())
        kinds[kind] = torch.cat([agent.actor(features).softmax(-1), agent.critic(features)], -1)
    torch.testing.assert_close(kinds["bfloat16"], kinds["float32"], rtol=0.05, atol=0.02)


# Learning


@BOTH
def test_an_action_that_is_rewarded_is_learnt(name):  # 000#6, 001#14, 002#6, 003#5
    agent, rng = toys.small(name, learning_rate=3e-3), np.random.default_rng(0)
    for step in range(40):
        batch = toys.rollout(agent, rng, bandit)
        toys.learn(agent, batch, step / 40)
    obs = {name: array[:, 0] for name, array in toys.rollout(agent, rng).items()}
    assert agent.policy((), obs, "greedy", rng)[1].tolist() == [1, 1, 1]
    assert (batch["action"] == 1).mean() > 0.8


def test_a_setting_that_ppo_cannot_honour_is_refused():
    idle = base.Idle(sampling="none", streams=3)
    config = toys.small("ppo").config.model_copy(update={"training": idle})
    with pytest.raises(ValueError, match=r"training\.sampling.*fresh"):
        toys.built("ppo", config, toys.SHAPE, toys.ACTIONS, 0)
