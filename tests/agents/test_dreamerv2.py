"""DreamerV2 as a whole: what each loss reaches, what its settings change, that it learns.

Against the official program it is compared in tests/parity.
"""

import numpy as np
import pytest
import torch

import agents
from agents.parts import world
from launch import vocabulary
from tests.agents import toys

SHAPE, ACTIONS = (64, 64, 1), 3
MODEL = {"encoder", "rssm", "decoder", "reward", "discount"}
TOGGLES = ("gaussian", "no_balance", "no_discount", "dynamics", "both", "paper", "continued")


def small(*blocks, seed=0, actions=ACTIONS, **changes):
    sets = {"training.batch": 3, "training.length": 6} | changes
    config = agents.configure("dreamerv2", "none", [*blocks, "debug"], sets)
    return toys.built("dreamerv2", config, SHAPE, actions, seed)


def made_up(agent, seed=0, first=True):
    """Returns a batch as replay hands it out."""
    rng, training = np.random.default_rng(seed), agent.config.training
    size = (training.batch, training.length)
    rows = {
        "image": rng.integers(0, 256, (*size, *SHAPE), np.uint8),
        "reward": rng.normal(size=size).astype(np.float32),
        "is_first": np.zeros(size, bool),
        "is_last": rng.random(size) < 0.2,
        "is_terminal": rng.random(size) < 0.2,
        "action": rng.integers(0, agent.actions, size),
        "previous_action": rng.integers(0, agent.actions, size),
    }
    rows["is_first"][:, 0] = first
    rows["previous_action"][:, 0] = -1 if first else 0
    return rows


def opened(agent, seed=0):
    """Returns the losses of world model, actor and critic, and the states between."""
    data = {name: torch.from_numpy(array) for name, array in made_up(agent, seed).items()}
    count, rows = data["reward"].shape
    noise = agent.draws(count, rows)
    losses, seen = agent.model_losses(data, agent.initial(count), noise.filtered)
    start = {name: seen[name].flatten(0, 1).detach() for name in agent.initial(1)}
    actor, critic, found = agent.behaviour_losses(start, data["is_terminal"].flatten(), noise)
    return losses, actor.loss, critic, found


def networks(agent):
    return {name: part for name, part in agent.parts.items() if not name.endswith("_opt")}


@pytest.mark.parametrize("block", ["float32", "dynamics", "both", "gaussian"])
def test_each_loss_reaches_the_networks_that_it_trains(block):
    agent = small(block)
    losses, actor, critic, _ = opened(agent)
    parts = {k: v for k, v in networks(agent).items() if k != "slow"}
    core = {"encoder", "rssm"}
    wanted = {"dynamics": core, "image": core | {"decoder"}, "reward": core | {"reward"}}
    for name, loss in (losses | {"policy": actor, "value": critic}).items():
        reached = toys.reached(loss.mean(), parts)
        if name == "policy":
            reached -= MODEL  # Through the dynamics; its optimiser asks for the actor's alone.
        more = {"continue": core | {"discount"}, "policy": {"actor"}, "value": {"critic"}}
        assert reached == (wanted | more)[name], name


@pytest.mark.parametrize("block", ["dynamics", "both", "float32"])
def test_learning_behaviour_leaves_the_world_model_as_it_is(block):
    agent = small(block)
    before = {name: toys.weights(part) for name, part in networks(agent).items()}
    data = {name: torch.from_numpy(array) for name, array in made_up(agent).items()}
    noise = agent.draws(*data["reward"].shape)
    agent.learn_behaviour(agent.initial(18), torch.zeros(18, dtype=torch.bool), noise)
    after = {name: toys.weights(part) for name, part in networks(agent).items()}
    moved = {name for name in before if not toys.same(before[name], after[name])}
    assert moved == {"actor", "critic"}


@pytest.mark.parametrize("block", TOGGLES)
def test_every_toggle_changes_what_an_update_does(block):
    plain, other = small(), small(block)
    carry = ((), ())
    for update in range(2):
        batch = made_up(plain, update, first=block != "continued" or not update)
        both = zip((plain, other), carry, strict=True)
        carry = [agent.train(each, batch, 0.0)[0] for agent, each in both]
    assert plain.metrics() != other.metrics()
    assert bool(carry[1]) == (block == "continued") and not carry[0]


def test_a_batch_that_goes_on_begins_with_the_state_that_was_carried():
    agent = small("continued")
    state = agent.save()
    carry, kept = agent.train((), made_up(agent), 0.0)
    assert kept == {} and {name: array.dtype for name, array in carry.items()} == {
        "deter": np.float32, "stoch": np.float32,
    }  # fmt: skip
    found = []
    for first in (False, True):
        for start in ((), carry):
            agent.load(state)
            after, _ = agent.train(start, made_up(agent, 1, first), 0.0)
            found.append(after["deter"])
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found[2], found[3])


def test_without_a_head_the_discount_is_constant_everywhere():
    agent = small("no_discount")
    losses, _, _, found = opened(agent)
    assert "continue" not in losses and "discount" not in agent.parts
    assert (found["discount"] == np.float32(agent.config.discount)).all()
    state = agent.initial(2)
    assert agent.predict(state)[1].tolist() == [1, 1]


def test_the_paper_imagines_one_state_less_and_from_all_rows_but_the_last():
    agent = small("paper", horizon=14)
    noise = agent.draws(3, 6)
    assert noise.action.shape == (14, 15) and len(noise.imagined) == 14
    start = agent.initial(15)
    actor, _, found = agent.behaviour_losses(start, torch.ones(15, dtype=torch.bool), noise)
    assert (len(found["target"]), len(actor.advantage)) == (14, 14)
    torch.testing.assert_close(actor.advantage, found["target"] - found["value"])
    assert found["weight"][1].all(), "the start's discount is the predicted one"


def test_the_slow_critic_is_copied_at_the_first_update_and_then_rarely():
    agent = small(slow_every=2)
    equal = []
    for update in range(4):
        agent.train((), made_up(agent, update), 0.0)
        equal.append(toys.same(toys.weights(agent.slow), toys.weights(agent.critic)))
    assert equal == [True, False, True, False]


def test_an_update_in_bfloat16_is_close_to_one_in_float32():
    found = []
    for precision in ("float32", "bfloat16"):
        agent = small(precision=precision)
        agent.train((), made_up(agent), 0.0)
        found.append(agent.metrics())
        assert all(p.dtype == torch.float32 for p in agent.rssm.parameters())
    plain, short = found
    assert short != plain
    for name in ("loss/image", "loss/reward", "loss/continue", "train/prior_entropy"):
        assert short[name] == pytest.approx(plain[name], rel=0.02), name


@pytest.mark.parametrize("block", ["float32", "no_discount", "gaussian", "dynamics"])
def test_every_metric_has_a_name_that_may_be_written(block):
    agent = small(block)
    agent.train((), made_up(agent), 0.0)
    metrics = agent.metrics()
    vocabulary.check(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    assert agent.metrics() == {}


@pytest.mark.parametrize("block", TOGGLES)
def test_a_stopped_run_goes_on_bit_for_bit(block):  # 001#6
    whole, other = small(block), small(block, seed=9)
    carry = ()
    for update in range(3):
        carry, _ = whole.train(carry, made_up(whole, update), 0.0)
        if update == 1:
            other.load(whole.save())
            resumed = carry
    other.train(resumed, made_up(other, 2), 0.0)
    assert toys.same(other.save(), whole.save())


def acted(agent, mode, calls=3, seed=0):
    rng, carry, found = np.random.default_rng(seed), agent.init(2), []
    for call in range(calls):
        image = np.random.default_rng(call).integers(0, 256, (2, *SHAPE), np.uint8)
        obs = {"image": image, "is_first": np.full(2, call == 0)}
        carry, action, extra = agent.policy(carry, obs, mode, rng)
        found.append((action, carry["state"]["stoch"]))
        assert extra == {} and action.dtype == np.int64
    return found


def test_the_latent_is_drawn_even_where_the_action_is_not():
    agent = small()
    first, second = acted(agent, "greedy"), acted(agent, "greedy", seed=1)
    assert not toys.same(first[0][1], second[0][1])
    again = acted(agent, "greedy")
    assert toys.same(first, again)


def test_training_may_play_some_actions_at_random():
    agent, still = small(noise=1.0, actions=9), small(actions=9)
    for each in (agent, still):
        torch.nn.init.zeros_(each.actor.out.weight)
        with torch.no_grad():
            each.actor.out.bias[4] = 99.0
    noisy, plain = (
        np.concatenate([action for action, _ in acted(each, "train", 20)])
        for each in (agent, still)
    )
    assert len(set(noisy.tolist())) > 4 and set(plain.tolist()) == {4}
    assert {int(a) for action, _ in acted(agent, "sampled", 20) for a in action} == {4}


def test_acting_filters_as_training_does():
    agent = small(**{"training.batch": 2, "training.length": 3})
    found = acted(agent, "greedy")
    latents = torch.stack([torch.from_numpy(stoch) for _, stoch in found], 1)
    action = np.stack([action for action, _ in found], 1)
    images = [np.random.default_rng(c).integers(0, 256, (2, *SHAPE), np.uint8) for c in range(3)]
    batch = made_up(agent) | {"image": np.stack(images, 1)}
    batch["previous_action"][:, 1:] = action[:, :-1]
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    forced = latents.unflatten(-1, (agent.config.stoch, agent.config.classes))
    _, seen = agent.model_losses(data, agent.initial(2), forced)
    torch.testing.assert_close(seen["stoch"], latents, rtol=0, atol=1e-6)
    logits = agent.actor(agent.rssm.feature(seen))
    assert (logits.argmax(-1).numpy() == action).all()


@pytest.mark.parametrize("actions", [3, 6, 18])
def test_the_published_size_is_twenty_million_and_grows_with_the_actions(actions):
    agent = toys.built("dreamerv2", agents.configure("dreamerv2", "none", []), SHAPE, actions, 0)
    parts = {k: v for k, v in networks(agent).items() if k != "slow"}
    count = sum(p.numel() for part in parts.values() for p in part.parameters())
    assert count == 22_245_398 - (18 - actions) * (600 + 401)


def test_a_training_or_an_image_of_another_kind_is_refused():
    random = agents.configure("random", "none", [])
    config = agents.configure("dreamerv2", "none", ["debug"])
    for changed, shape, message in (
        (config.model_copy(update={"training": random.training}), SHAPE, "'episodes', not 'none'"),
        (config, (96, 96, 1), r"view\.size: \[96, 96\]"),
    ):
        with pytest.raises(ValueError, match=message):
            toys.built("dreamerv2", changed, shape, ACTIONS, 0)


def bandit(agent, rng):
    """Returns a batch in which action 1 is worth 1 point and the others nothing."""
    batch = made_up(agent, int(rng.integers(1 << 30)))
    batch["image"][:] = 100
    batch["is_terminal"][:] = False
    batch["reward"] = (batch["previous_action"] == 1).astype(np.float32)
    return batch


@pytest.mark.parametrize("gradient", ["reinforce", "dynamics"])
def test_a_reward_of_the_last_action_is_foreseen_and_then_earned(gradient):  # 000#6, 001#14
    rates = {f"{name}_rate": 5e-3 for name in ("model", "actor", "critic")}
    agent = small(actor_gradient=gradient, discount=0.9, **rates)
    rng = np.random.default_rng(0)
    for _ in range(100):
        agent.train((), bandit(agent, rng), 0.0)
    agent.metrics()
    agent.train((), bandit(agent, rng), 0.0)
    assert agent.metrics()["loss/reward"] < 0.919 + 0.03  # half the log of 2 pi is the least
    probs = agent.policy_logits(agent.initial(1)).softmax(-1)[0]
    assert probs[1] > 0.8, probs


def test_a_report_and_a_dream_look_like_images():
    agent = small()
    batch = made_up(agent)
    report = agent.report(batch, np.random.default_rng(0))
    assert report["context"] == 3
    for name in ("posterior", "open_loop"):
        assert report[name].shape == batch["image"].shape and report[name].dtype == np.uint8
    seen = report["posterior"][:, :3]
    assert np.array_equal(seen, report["open_loop"][:, :3])
    assert abs(seen.astype(float).mean() - 127.5) < 5, "means are centred pixels"
    dream = agent.dream(agent.init(2), 4, np.random.default_rng(0))
    assert dream["image"].shape == (2, 4, *SHAPE)
    assert ((dream["proceed"] > 0) & (dream["proceed"] <= 1)).all()
    assert isinstance(agent, world.WorldAgent)
