"""The world model, and play inside it, against loops as the formulas are written."""

import numpy as np
import pytest
import torch

from agents.parts import categorical, imagination
from tests.agents import toys

STEPS, STATES, FEATURES, ACTIONS = 6, 5, 8, 3


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return imagination.Model(FEATURES, ACTIONS, 16, 1.0), torch.nn.Linear(FEATURES, ACTIONS)


def uniforms(seed=0, states=STATES):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(STEPS, states, 1, generator=rng, dtype=torch.float64)


def play(parts, start, uniform):
    return imagination.imagine(*parts, start, uniform)


def test_a_step_is_a_linear_function_of_features_and_one_hot_action(parts):
    model, _ = parts
    start, uniform = torch.randn(STATES, FEATURES), uniforms()
    found = play(parts, start, uniform)
    assert torch.equal(found.latent[0], start)
    assert torch.equal(found.action.sum(-1), torch.ones(STEPS, STATES))
    matrix, offset = model.transition.weight, model.transition.bias
    for step in range(STEPS):
        action = found.action[step].argmax(-1)
        wanted = found.latent[step] @ matrix[:, :FEATURES].T + matrix[:, FEATURES:].T[action]
        torch.testing.assert_close(found.latent[step + 1], wanted + offset)


def test_imagined_actions_are_drawn_from_the_policy_in_the_imagined_state(parts):
    _, actor = parts
    start = torch.randn(1, FEATURES).expand(20_000, FEATURES)
    found = play(parts, start, uniforms(1, 20_000))
    wanted = actor(start[0]).softmax(-1)
    torch.testing.assert_close(found.action[0].mean(0), wanted, rtol=0, atol=0.015)
    chosen = categorical.choose(
        actor(found.latent[3]).log_softmax(-1).double().exp(), uniforms(1, 20_000)[3][:, 0]
    )
    assert torch.equal(found.action[3].argmax(-1), chosen)


def test_one_state_alone_or_among_others_imagines_the_same(parts):
    start, uniform = torch.randn(STATES, FEATURES), uniforms()
    together = play(parts, start, uniform)
    for state in range(STATES):
        alone = play(parts, start[state : state + 1], uniform[:, state : state + 1])
        torch.testing.assert_close(alone.latent[:, 0], together.latent[:, state])


def test_no_gradient_leaves_or_enters_imagined_play(parts):
    start = torch.randn(STATES, FEATURES, requires_grad=True)
    found = play(parts, start, uniforms())
    assert not found.latent.requires_grad
    assert not found.action.requires_grad


def test_the_heads_are_asked_about_the_state_that_an_action_leaves(parts):  # 000#6
    found = play(parts, torch.randn(STATES, FEATURES), uniforms())
    for late in (False, True):
        asked = found.asked(late)
        assert torch.equal(asked[..., :FEATURES], found.latent[1:] if late else found.latent[:-1])
        assert torch.equal(asked[..., FEATURES:], found.action)


def test_training_joins_features_and_action_as_imagination_does(parts):
    found = play(parts, torch.randn(STATES, FEATURES), uniforms())
    joint = imagination.join(found.latent[0], found.action[0].argmax(-1), ACTIONS)
    assert torch.equal(joint, found.asked(False)[0])


def by_hand(agent, start, seed):
    """Returns L_imagined as written down, one state and one step at a time."""
    c, uniform = agent.config, torch.Generator()
    uniform.set_state(seed)
    uniform = torch.rand(c.horizon, len(start), 1, generator=uniform, dtype=torch.float64)
    model, total = agent.model, 0.0
    value = lambda z: float(agent.critic(z)[0, 0])  # noqa: E731
    for n in range(len(start)):
        z, rewards, follows, values, reached = start[n : n + 1], [], [], [], []
        likely = 1.0
        for h in range(c.horizon):
            action = categorical.choose(
                agent.actor(z).log_softmax(-1).double().exp(), uniform[h, n : n + 1, 0]
            )
            joint = imagination.join(z, action, toys.ACTIONS)
            after = model.transition(joint)
            late = imagination.join(after, action, toys.ACTIONS)
            rewards.append(float(model.reward(late if c.quirks.late_reward else joint)))
            alive = float(model.proceed(joint).sigmoid()) if c.continue_scale else 1.0
            follows.append(c.discount * alive)
            values.append((value(z), value(after)))
            reached.append(likely)
            likely, z = likely * alive, after
        target = values[-1][1]
        for h in reversed(range(c.horizon)):
            mixed = (1 - c.imagined_lam) * values[h][1] + c.imagined_lam * target
            target = rewards[h] + follows[h] * mixed
            guess = values[h][1 if c.quirks.late_value else 0]
            total += reached[h] * (guess - target) ** 2
    return total / (len(start) * c.horizon)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"continue_scale": 0.0},
        {"imagined_lam": 1.0},
        {"quirks__late_reward": True},  # 000#6
        {"quirks__late_value": True},  # 000#7
    ],
    ids=str,
)
@torch.no_grad()
def test_the_imagined_loss_is_what_its_formula_says(changes):
    agent = toys.small("dreamer_ppo", horizon=4, actor_gain=1.0, **changes)
    image = toys.made_up(5, 1, np.random.default_rng(0))["image"][:, 0]
    start = agent.encoder(torch.from_numpy(image), agent.acting())
    before = agent.dreams.get_state()
    loss, _ = agent.imagined_loss(start)
    assert float(loss) == pytest.approx(by_hand(agent, start, before), rel=1e-4)


def test_the_seeds_imagined_loss_is_its_plain_sum_shifted_by_one():  # 000#6, 000#7
    agent = toys.small("dreamer_ppo", "seed", horizon=5)
    start = torch.randn(4, agent.config.features, generator=torch.Generator().manual_seed(0))
    before = agent.dreams.get_state()
    with torch.no_grad():
        wanted = by_hand(agent, start, before)
    assert float(agent.imagined_loss(start)[0]) == pytest.approx(wanted, rel=1e-4)


def test_an_imagined_episode_that_ends_is_worth_no_more_than_its_reward():  # 000#5
    agent = toys.small("dreamer_ppo")
    torch.nn.init.constant_(agent.model.proceed[-1].bias, -100.0)
    torch.nn.init.zeros_(agent.model.reward[-1].weight)
    torch.nn.init.constant_(agent.model.reward[-1].bias, 0.25)
    torch.nn.init.constant_(agent.critic.bias, 7.0)
    start = torch.zeros(4, agent.config.features)
    loss, target = agent.imagined_loss(start)
    assert float(target) == pytest.approx(0.25)
    # Only the first of the horizon's states is ever reached.
    share = 1 / agent.config.horizon
    assert float(loss.detach()) == pytest.approx(share * (7 - 0.25) ** 2, rel=1e-4)


def test_the_imagined_return_is_a_target_and_has_no_gradient():
    agent = toys.small("dreamer_ppo", continue_scale=0.0, horizon=1, discount=0.9)
    for part in (agent.critic.weight, agent.model.reward[-1].weight, agent.model.reward[-1].bias):
        torch.nn.init.zeros_(part)
    torch.nn.init.constant_(agent.critic.bias, 5.0)
    # V = b everywhere and the target is 0.9 b: the slope is 2 (b - 0.9 b), not 2 (1 - 0.9)^2 b.
    loss, target = agent.imagined_loss(torch.zeros(4, agent.config.features))
    (slope,) = torch.autograd.grad(loss, agent.critic.bias)
    assert (target.item(), slope.item()) == pytest.approx((4.5, 1.0), rel=1e-5)


def test_bf16_imagination_agrees_with_float32():
    losses = []
    for kind in ("float32", "bfloat16"):
        agent = toys.small("dreamer_ppo", precision=kind)
        start = torch.randn(64, 16, generator=torch.Generator().manual_seed(0)).relu()
        losses.append(float(agent.imagined_loss(start)[0].detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
