"""The block `seed` of Dreamer-PPO: each mistake of the published program, and only there."""

import numpy as np
import pytest
import torch

import agents
from agents.parts import ppo
from tests.agents import toys

QUIRKS = agents.settings("dreamer_ppo", "none", [])["quirks"]
PUBLISHED = {
    "learning_rate": 2.5e-4,
    "adam_eps": 1e-8,
    "discount": 0.99,
    "lam": 0.95,
    "clip": 0.1,
    "clip_value": False,
    "value_scale": 0.5,
    "entropy_scale": 0.01,
    "max_grad_norm": 0.5,
    "features": 512,
    "feature_relu": False,
    "actor_gain": 2**0.5,
    "critic_gain": 2**0.5,
    "model_gain": 2**0.5,
    "transition_scale": 0.3,
    "reward_scale": 0.5,
    "continue_scale": 0.0,
    "imagined_scale": 0.1,
    "model_units": 256,
    "horizon": 128,
    "imagined_lam": 1.0,
    "imagine_above": 0.5,
}


@pytest.mark.parametrize("suite", ["seaquest", "atari100k", "smoke"])
def test_the_seed_has_the_published_values_in_every_suite(suite):
    config = agents.settings("dreamer_ppo", suite, ["seed"])
    assert {key: config[key] for key in PUBLISHED} == pytest.approx(PUBLISHED)
    assert config["warmup"] == pytest.approx(1000 / 9765, abs=1e-4)
    assert config["training"] == {
        "sampling": "fresh", "streams": 8, "length": 128, "epochs": 4, "minibatches": 4,
    }  # fmt: skip
    assert config["view"] == {
        "size": [84, 84], "color": "gray", "resize": "area", "stack": 4,
        "reward": "sign", "life_loss": True, "fire": True,
    }  # fmt: skip
    assert all(config["quirks"].values())


def test_no_other_block_has_a_mistake():
    for block in agents.blocks("dreamer_ppo"):
        quirks = agents.settings("dreamer_ppo", "none", [block])["quirks"]
        assert any(quirks.values()) == (block == "seed"), block
    assert not any(QUIRKS.values())


def test_the_networks_have_the_published_number_of_parameters():
    config = agents.configure("dreamer_ppo", "seaquest", ["seed"])
    agent = toys.built("dreamer_ppo", config, (84, 84, 4), 18, 0)
    agent.model.proceed = torch.nn.Identity()  # The head that the published program has not.
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in networks(agent)}
    assert count["encoder"] + count["actor"] + count["critic"] == 1_693_875
    assert sum(count.values()) == 2_101_940


def networks(agent):
    return [(name, agent.parts[name]) for name in ("encoder", "actor", "critic", "model")]


@pytest.mark.parametrize("own", [False, True])
def test_the_last_step_of_a_rollout_bootstraps_from_its_own_value_only_in_the_seed(own):  # 000#8
    agent = toys.small("dreamer_ppo", quirks__own_bootstrap=own)
    batch = toys.rollout(agent, np.random.default_rng(0))
    for name in ("is_first", "is_last", "is_terminal"):
        batch[name] = np.zeros_like(batch[name])
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    agent.begin(data)
    final = agent.critic(agent.encoder(data["image"][:, -1], agent.acting()))[:, 0]
    value, reward = data["value"][:, -2], data["reward"][:, -1]
    after = value if own else final
    wanted = reward + agent.config.discount * after - value
    found = agent.rollout["advantage"].view(3, -1)[:, -1]
    torch.testing.assert_close(found, wanted.detach())
    assert not torch.allclose(final, value)


@pytest.mark.parametrize("twice", [False, True])
def test_advantages_are_normalised_over_the_rollout_too_only_in_the_seed(twice):  # 000#10
    agent = toys.small("dreamer_ppo", quirks__normalise_twice=twice)
    plain = toys.small("dreamer_ppo")
    batch = toys.rollout(agent, np.random.default_rng(0))
    for each in (agent, plain):
        toys.opened(each, batch)
    valid, advantage = plain.rollout["valid"], plain.rollout["advantage"]
    wanted = ppo.standardise(advantage[valid]) if twice else advantage[valid]
    torch.testing.assert_close(agent.rollout["advantage"][valid], wanted)
    assert torch.equal(agent.rollout["target"], plain.rollout["target"])


@pytest.mark.parametrize("one", [False, True])
def test_all_epochs_see_the_same_minibatches_only_in_the_seed(one):  # 000#10
    agent = toys.small("dreamer_ppo", quirks__one_order=one)
    seen, original = [], agent.minibatch
    agent.minibatch = lambda: seen.append(original()) or seen[-1]
    rng = np.random.default_rng(0)
    for _ in range(2):
        toys.learn(agent, toys.rollout(agent, rng))
    first, again, *later = [[x.tolist() for x in seen[start : start + 2]] for start in (0, 2, 4, 6)]
    assert (first == again) == one
    assert (later[0] == later[1]) == one
    assert later[0] != first


def test_the_seeds_imagination_changes_nothing_but_the_log():  # 000#1
    ends, logs = [], []
    for scale in (0.0, 0.1):
        agent = toys.small("dreamer_ppo", "seed", imagined_scale=scale, horizon=6)
        toys.trained(agent, seed=0)
        ends.append([toys.weights(part) for _, part in networks(agent)])
        logs.append(agent.metrics())
    assert toys.same(*ends)
    assert set(logs[1]) - set(logs[0]) == {"loss/imagined", "train/imagined_return"}


def test_an_imagination_that_overflows_in_the_seed_is_a_large_number_in_its_log():  # 000#2
    agent = toys.small("dreamer_ppo", "seed")
    with torch.no_grad():
        agent.model.transition.weight *= 10
    toys.learn(agent, toys.rollout(agent, np.random.default_rng(0)))
    found = agent.metrics()
    assert np.isfinite(list(found.values())).all()
    assert found["loss/imagined"] > 1e30
