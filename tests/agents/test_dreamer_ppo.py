"""Dreamer-PPO: where gradients go, its ladder, its schedule, and that its model learns."""

import numpy as np
import pytest
import torch

import agents
import suites
from agents.parts import images, imagination
from tests.agents import toys

REWARDS = np.array([0.0, 1.0, -1.0])  # What each action of the toy world is worth.


def bandit(image, action):
    """A world in which the reward depends on the last action and on nothing else."""
    return REWARDS[action]


def parts_of(agent):
    model = agent.model
    heads = {"transition": model.transition, "reward": model.reward, "continue": model.proceed}
    return {"encoder": agent.encoder, "actor": agent.actor, "critic": agent.critic} | heads


def batch_for(agent, seed=0):
    return toys.rollout(agent, np.random.default_rng(seed))


def with_ends(batch, terminal):
    """Returns the batch with every transition leading into an end of one kind."""
    ends = np.zeros_like(batch["is_last"])
    ends[:, 1::2] = True
    flags = {"is_last": ends, "is_terminal": ends & terminal}
    return batch | flags | {"is_first": np.roll(ends, 1, 1)}


# Gradients


def test_each_term_has_a_gradient_where_it_belongs_and_none_elsewhere():  # 000#1, 000#3, 004#2
    agent = toys.small("dreamer_ppo")
    losses, _ = toys.opened(agent, batch_for(agent))
    found = {name: toys.reached(loss, parts_of(agent)) for name, loss in losses.items()}
    assert found == {
        "policy": {"encoder", "actor"},
        "entropy": {"encoder", "actor"},
        "value": {"encoder", "critic"},
        "transition": {"encoder", "transition"},
        "reward": {"encoder", "reward"},
        "continue": {"continue"},
        "imagined": {"critic"},
    }


@pytest.mark.parametrize("free", [False, True])
def test_the_next_features_are_not_trained_to_be_easy_to_predict(free):  # 000#3
    agent = toys.small("dreamer_ppo", quirks__target_gradient=free)
    torch.nn.init.zeros_(agent.model.transition.weight)  # Only the target is left.
    losses, _ = toys.opened(agent, batch_for(agent))
    assert ("encoder" in toys.reached(losses["transition"], parts_of(agent))) == free


def test_the_imagined_critic_moves_the_critic_and_leaves_the_rest_alone():  # 000#1
    changes = {"max_grad_norm": 1e9, "training__epochs": 1, "training__minibatches": 1}
    ends = {}
    for scale in (0.0, 0.1):
        agent = toys.small("dreamer_ppo", imagined_scale=scale, **changes)
        toys.learn(agent, batch_for(agent))
        ends[scale] = {name: toys.weights(part) for name, part in parts_of(agent).items()}
    moved = {name for name in ends[0.0] if not toys.same(ends[0.0][name], ends[0.1][name])}
    assert moved == {"critic"}


def test_the_seeds_imagination_changes_no_gradient_by_a_bit():  # 000#1
    agent = toys.small("dreamer_ppo", "seed", horizon=4)
    losses, _ = toys.opened(agent, batch_for(agent))
    scales = agent.scales(0.5)
    imagined = scales["imagined"] * losses.pop("imagined")
    assert imagined > 0
    total = sum(scales[name] * loss for name, loss in losses.items())
    used = [param for param in agent.params if param is not None]
    ask = {"retain_graph": True, "allow_unused": True}
    plain = torch.autograd.grad(total, used, **ask)
    with_it = torch.autograd.grad(total + 0.1 * imagined, used, **ask)
    assert all(
        (one is None and other is None) or torch.equal(one, other)
        for one, other in zip(plain, with_it, strict=True)
    )


# What is masked


def test_no_transition_into_a_terminal_is_learnt():  # 000#4
    agent = toys.small("dreamer_ppo")
    losses, _ = toys.opened(agent, with_ends(batch_for(agent), terminal=True))
    assert losses["transition"].item() == 0
    losses, _ = toys.opened(agent, with_ends(batch_for(agent), terminal=False))
    assert losses["transition"].item() > 0


def test_the_seed_learns_that_a_terminal_leads_to_the_next_life():  # 000#4
    agent = toys.small("dreamer_ppo", quirks__teleport=True)
    batch = with_ends(batch_for(agent), terminal=True)
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    rows = data["image"].shape[1]
    start = torch.tensor([0, rows - 1 + 2])  # Row 0 of stream 0, row 2 of stream 1.
    found = agent.following(data, start, agent.acting())
    wanted = torch.stack([data["image"][0, 2], data["image"][1, 4]])
    assert torch.equal(found, agent.encoder(wanted, agent.acting()))
    assert toys.opened(agent, batch)[0]["transition"].item() > 0


@pytest.mark.parametrize(("terminal", "label"), [(True, 0.0), (False, 1.0)])
def test_a_truncated_episode_is_learnt_to_go_on_and_a_terminal_to_end(terminal, label):  # 000#9
    agent = toys.small("dreamer_ppo")
    torch.nn.init.zeros_(agent.model.proceed[-1].weight)
    torch.nn.init.constant_(agent.model.proceed[-1].bias, 2.0)
    losses, _ = toys.opened(agent, with_ends(batch_for(agent), terminal))
    wanted = -torch.tensor(2.0 if label else -2.0).sigmoid().log()
    assert float(losses["continue"].detach()) == pytest.approx(float(wanted), rel=1e-5)


# One scale of pixels


def test_the_encoder_is_the_only_door_and_scales_every_pixel_the_same(monkeypatch):  # 000#2
    seen, forward = [], images.Encoder.forward

    def watched(self, image, weights):
        (kernel, _), *_ = weights
        seen.append((image.dtype, torch.equal(kernel, self.weights(kernel.dtype)[0][0])))
        return forward(self, image, weights)

    monkeypatch.setattr(images.Encoder, "forward", watched)
    for block, doors in ((), {(torch.uint8, True)}), (("seed",), {(torch.uint8, True)}):
        agent = toys.small("dreamer_ppo", *block, horizon=2)
        toys.learn(agent, batch_for(agent))
        unscaled = {(torch.uint8, False)} if block else set()
        assert set(seen) == doors | unscaled
        seen.clear()


def test_imagination_starts_from_the_features_that_the_policy_acts_on():  # 000#2
    agent, starts = toys.small("dreamer_ppo"), []
    imagined_loss = agent.imagined_loss
    agent.imagined_loss = lambda start: starts.append(start) or imagined_loss(start)
    batch = batch_for(agent)
    _, index = toys.opened(agent, batch)
    stream, row = index // agent.config.training.length, index % agent.config.training.length
    image = torch.from_numpy(batch["image"])[stream, row]
    torch.testing.assert_close(starts[0], agent.encoder(image, agent.acting()))


def test_the_seed_regresses_onto_features_of_unscaled_pixels():  # 000#2
    # Without biases the features of pixels in 0..255 are 255 times those in 0..1.
    agent = toys.small("dreamer_ppo", quirks__raw_pixels=True)
    batch = batch_for(agent)
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    index = torch.tensor([0, 1])
    scaled = agent.encoder(data["image"][0, 1:3], agent.acting())
    raw = agent.following(data, index, agent.acting())
    torch.testing.assert_close(raw, 255 * scaled, rtol=1e-4, atol=1e-3)


# The ladder


@pytest.mark.parametrize("changes", [{}, {"feature_relu": False, "clip_value": False}], ids=str)
def test_the_block_ppo_is_plain_ppo_bit_for_bit(changes):  # 000#14
    plain = toys.small("ppo", seed=3, **changes)
    rung = toys.small("dreamer_ppo", "ppo", seed=3, **changes)
    toys.trained(plain, seed=1)
    toys.trained(rung, seed=1)
    for part in ("encoder", "actor", "critic"):
        assert toys.same(toys.weights(plain.parts[part]), toys.weights(rung.parts[part])), part
    assert plain.metrics() == rung.metrics()


def test_ppo_and_dreamer_ppo_have_the_same_trunk_and_recipe():
    plain = agents.settings("ppo", "none", [])
    ours = agents.settings("dreamer_ppo", "none", [])
    assert {key: ours[key] for key in plain} == plain


def test_each_rung_has_the_terms_of_the_one_below_and_its_own():
    found = {}
    for block in ("ppo", "aux", ""):
        agent = toys.small("dreamer_ppo", *filter(None, [block]))
        found[block] = set(toys.opened(agent, batch_for(agent))[0])
    assert found["ppo"] == {"policy", "value", "entropy"}
    assert found["aux"] == found["ppo"] | {"transition", "reward"}
    assert found[""] == found["aux"] | {"continue", "imagined"}


def test_all_rungs_start_from_the_same_weights_and_see_the_same_minibatches():
    starts, orders = [], []
    for block in ("ppo", "aux", ""):
        agent = toys.small("dreamer_ppo", *filter(None, [block]))
        starts.append([toys.weights(part) for part in parts_of(agent).values()])
        batch = batch_for(agent)
        toys.learn(agent, batch)
        orders.append(agent.generator.get_state().numpy())
    assert toys.same(starts[0], starts[1]) and toys.same(starts[0], starts[2])
    assert toys.same(orders[0], orders[1]) and toys.same(orders[0], orders[2])


def test_imagination_without_a_model_is_refused():
    for term in ("transition_scale", "reward_scale"):
        with pytest.raises(ValueError, match="imagined_scale"):
            toys.small("dreamer_ppo", **{term: 0.0})


# Schedule


def phases(config, budget, skip):
    """Returns, for every rollout, how large the model's terms are and whether it imagines."""
    agent = toys.small("dreamer_ppo", warmup=config.warmup, imagine_above=config.imagine_above)
    played = config.training.streams * config.training.length * skip
    progress = [min(1.0, frames / budget) for frames in range(played, budget + played, played)]
    return [(agent.warmth(each), agent.imagines(each)) for each in progress]


SUITES = [name for name in suites.names() if suites.load(name).frames >= 400_000]


@pytest.mark.parametrize("block", ["", "seed"])
@pytest.mark.parametrize("name", SUITES)
def test_a_budget_of_any_size_passes_through_every_phase(name, block):  # 000 warm-up
    suite = suites.load(name)
    config = agents.configure("dreamer_ppo", name, [block] if block else [])
    seen = phases(config, suite.frames, suite.task.frame_skip)
    growing = [imagines for warmth, imagines in seen if warmth < 1]
    assert 0.08 < len(growing) / len(seen) < 0.12
    assert 0.4 < sum(growing) / len(growing) < 0.6
    assert all(imagines for warmth, imagines in seen if warmth == 1)


def test_terms_grow_in_proportion_and_imagination_starts_at_half_size():
    agent = toys.small("dreamer_ppo")
    batch = batch_for(agent)
    for progress, share, imagines in ((0.0, 0, False), (0.049, 0.49, False), (0.051, 0.51, True)):
        scales = agent.scales(progress)
        assert scales["policy"] == 1.0
        for term in ("transition", "reward", "continue", "imagined"):
            full = getattr(agent.config, f"{term}_scale")
            assert scales[term] == pytest.approx(share * full)
        toys.learn(agent, batch, progress)
        assert ("loss/imagined" in agent.metrics()) == imagines
    assert agent.scales(0.1) == agent.scales(1.0)


def test_atari_100k_has_shorter_rollouts_and_more_epochs_and_the_rungs_share_them():
    usual = agents.configure("dreamer_ppo", "atari57", []).training
    small = [
        agents.configure("dreamer_ppo", "atari100k", asked) for asked in ([], ["ppo"], ["aux"])
    ]
    assert small[0].training == small[1].training == small[2].training
    assert small[0].training.length < usual.length
    assert small[0].training.epochs > usual.epochs
    published = agents.configure("dreamer_ppo", "atari100k", ["seed"]).training
    assert published == usual


@pytest.mark.parametrize("horizon", [1, 128])
def test_the_horizon_is_what_is_set(horizon):
    agent = toys.small("dreamer_ppo", horizon=horizon)
    steps, asked = [], imagination.Play.asked
    agent.judge = lambda play: steps.append(len(play.action)) or type(agent).judge(agent, play)
    losses, _ = toys.opened(agent, batch_for(agent))
    assert steps == [horizon]
    assert torch.isfinite(losses["imagined"])
    assert asked is imagination.Play.asked
    assert agents.configure("dreamer_ppo", "none", ["horizon128"]).horizon == 128


# Learning


def test_the_reward_head_learns_what_an_action_is_worth_without_error():  # 000#6, 001#14
    # With so much entropy every action goes on being played.
    changes = {"learning_rate": 1e-3, "entropy_scale": 1.0, "transition_scale": 0.0}
    agent, rng = toys.small("dreamer_ppo", "aux", **changes), np.random.default_rng(0)
    for step in range(60):
        batch = toys.rollout(agent, rng, bandit)
        toys.learn(agent, batch, 0.1 + 0.015 * step)
    assert set(batch["action"].flat) == {0, 1, 2}
    with torch.no_grad():
        latent = agent.encoder(torch.from_numpy(batch["image"][:, 0]), agent.acting())
        for action, worth in enumerate(REWARDS):
            asked = imagination.join(latent, torch.full((3,), action), toys.ACTIONS)
            found = agent.model.reward(asked)[:, 0].tolist()
            assert found == pytest.approx([worth] * 3, abs=0.03)


def test_the_critic_learns_from_imagined_play_alone():  # 000#1
    agent = toys.small("dreamer_ppo", learning_rate=0.01)
    torch.nn.init.zeros_(agent.model.reward[-1].weight)
    torch.nn.init.constant_(agent.model.reward[-1].bias, 1.0)
    torch.nn.init.constant_(agent.model.proceed[-1].bias, -100.0)
    start = torch.zeros(8, agent.config.features)
    for _ in range(150):
        agent.descend(agent.imagined_loss(start)[0], 0.0)
    # Every imagined episode ends at once with reward 1.
    with torch.no_grad():
        assert agent.critic(start)[:, 0].tolist() == pytest.approx([1.0] * 8, abs=0.1)
