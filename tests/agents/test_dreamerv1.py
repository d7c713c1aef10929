"""Dreamer v1's rules, one by one, on small networks; its numbers are compared in tests/parity."""

import numpy as np
import pytest
import torch

import agents
from agents.parts import epsilon, gaussian
from tests.agents import toys

ACTIONS, COUNT, LENGTH = 4, 3, 6
SMALL = {"training.batch": COUNT, "training.length": LENGTH}


def small(*blocks, seed=0, actions=ACTIONS, **changes):
    sets = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    config = agents.configure("dreamerv1", "none", ["debug", "float32", *blocks], sets)
    return toys.built("dreamerv1", config, (64, 64, 3), actions, seed)


def batch(seed=0, count=COUNT, length=LENGTH):
    """Returns rows as replay serves them: the first sequence begins an episode, the second ends."""
    rng, size = np.random.default_rng(seed), (count, length)
    rows = {
        "image": rng.integers(0, 256, (*size, 64, 64, 3), np.uint8),
        "previous_action": rng.integers(0, ACTIONS, size),
        "action": rng.integers(0, ACTIONS, size),
        "reward": np.tanh(rng.normal(size=size)).astype(np.float32),
        "is_first": np.zeros(size, bool),
        "is_last": np.zeros(size, bool),
        "is_terminal": np.zeros(size, bool),
    }
    rows["is_first"][:, 0] = True
    rows["previous_action"][0, 0] = -1
    rows["is_last"][1, -1] = rows["is_terminal"][1, -1] = True
    return rows


def noise(agent, *shape, seed=0):
    return torch.randn(*shape, agent.config.stoch, generator=torch.Generator().manual_seed(seed))


def filtered(agent, rows):
    data = {name: torch.from_numpy(array) for name, array in rows.items()}
    return agent.model_loss(agent.rows(data), noise(agent, LENGTH, COUNT))


def learnt(agent, updates=1, seed=0):
    for update in range(updates):
        agent.train((), batch(seed + update), 0.5)
    return agent


def test_each_loss_is_of_the_weights_before_the_update():
    slow, fast = (learnt(small(model_rate=rate)) for rate in (1e-9, 1.0))
    assert not toys.same(toys.weights(slow.rssm), toys.weights(fast.rssm))
    for part in ("actor", "value"):
        assert toys.same(toys.weights(slow.parts[part]), toys.weights(fast.parts[part])), part


def test_every_parameter_belongs_to_one_optimiser_and_moves():
    agent = small(free_nats=0.0)
    owned = [id(param) for each in agent.optimisers.values() for param in each.params]
    parts = [part for part in agent.parts.values() if isinstance(part, torch.nn.Module)]
    assert sorted(owned) == sorted(id(param) for part in parts for param in part.parameters())
    before = [toys.weights(part) for part in parts]
    learnt(agent)
    for part, old in zip(parts, before, strict=True):
        assert all((new != each).any() for new, each in zip(toys.weights(part), old, strict=True))


def test_the_policy_learns_through_the_model_and_the_value_does_not():
    agent = small()
    _, state, _ = filtered(agent, batch())
    start = agent.starts(state)
    chance = torch.rand(agent.config.horizon, len(start["deter"]))
    play = agent.play(start, noise(agent, *chance.shape), chance)
    value, policy, _ = agent.behaviour_losses(play, torch.zeros(()))
    nets = {name: part for name, part in agent.parts.items() if isinstance(part, torch.nn.Module)}
    assert toys.reached(value, nets) >= {"value"}
    assert {"actor", "rssm", "reward", "proceed", "value"} <= toys.reached(policy, nets)
    assert not toys.reached(policy, nets) & {"encoder", "decoder"}, "starts are cut off"


def test_acting_row_by_row_filters_as_training_does():
    agent, rows = small(), batch()
    rows["previous_action"][:, 0] = -1
    _, state, _ = filtered(agent, rows)
    eps, now = noise(agent, LENGTH, COUNT), agent.initial(COUNT)
    for t in range(LENGTH):
        agent.normals = lambda count, rng, t=t: eps[t]
        now = agent.observe(
            now,
            agent.tensor(rows["previous_action"][:, t]),
            agent.encode(agent.tensor(rows["image"][:, t])),
            torch.full((COUNT,), t == 0),
            np.random.default_rng(0),
        )
        for name, tensor in now.items():
            torch.testing.assert_close(tensor, state[name][:, t], atol=1e-5, rtol=1e-5)


def test_a_sequence_cut_from_the_middle_uses_the_action_that_led_to_it():
    agent, rows = small(), batch()
    first = filtered(agent, rows)[1]["deter"][:, 0]
    other = {**rows, "previous_action": rows["previous_action"].copy()}
    other["previous_action"][:, 0] = (rows["previous_action"][:, 0] + 1) % ACTIONS
    moved = (filtered(agent, other)[1]["deter"][:, 0] != first).any(-1)
    assert moved.all(), "zero is another action than 0, too"
    other["previous_action"][:, 0] = -1
    assert torch.equal(filtered(agent, other)[1]["deter"][0, 0], first[0])


def test_the_last_row_of_a_sequence_is_no_start_unless_nothing_ends():
    rows = batch()
    other = {**rows, "image": rows["image"].copy()}
    other["image"][:, -1] = 0
    for blocks, cut in (([], 1), (["no_continue"], 0)):
        agent = small(*blocks)
        one, two = (agent.starts(filtered(agent, each)[1])["stoch"] for each in (rows, other))
        assert len(one) == COUNT * (LENGTH - cut)
        assert torch.equal(one, two) == bool(cut)


def test_without_a_continue_head_the_discount_is_constant():
    agent = small("no_continue", discount=0.75)
    assert "proceed" not in agent.parts
    _, follow = agent.outlook(torch.randn(2, 5, agent.config.stoch + agent.config.deter))
    assert (follow == 0.75).all()
    learnt(agent)
    assert "loss/continue" not in agent.metrics()


def test_free_nats_are_of_the_mean_or_of_each_step():
    kl = torch.tensor([1.0, 4.0, 10.0])
    assert gaussian.free(kl, 3.0, per_step=False) == 5
    assert gaussian.free(kl, 6.0, per_step=False) == 6
    assert gaussian.free(kl, 3.0, per_step=True) == (0 + 1 + 7) / 3
    found = [
        filtered(small(free_nats=0.01, free_nats_per_step=each), batch())[2]
        for each in (False, True)
    ]
    whole = found[0]["train/divergence"]
    assert whole > 0.01 and found[0]["loss/dynamics"] == whole
    assert whole - 0.01 <= found[1]["loss/dynamics"] < whole


def test_noise_is_shared_by_a_batch_only_if_asked():
    for blocks, distinct in (([], True), (["official_noise"], False)):
        agent = small(*blocks)
        drawn = agent.noise(5, COUNT)
        assert drawn.shape == (5, COUNT if distinct else 1, agent.config.stoch)
        assert (drawn[0] != drawn[1]).all()
        acting = agent.normals(COUNT, np.random.default_rng(0))
        assert len(acting) == (COUNT if distinct else 1)
        learnt(agent)


def test_exploration_falls_with_updates_and_is_saved():
    agent = small(epsilon_span=8.0)
    found = [agent.exploration()]
    for _ in range(8):
        found.append(learnt(agent).exploration())
    wanted = [0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.1, 0.1]
    assert found == pytest.approx(wanted)
    other = small(epsilon_span=8.0, seed=5)
    other.load(agent.save())
    assert other.exploration() == pytest.approx(0.1)
    assert [epsilon.scheduled("halving", 0.4, 0.1, 8.0, u) for u in (0, 8, 24)] == [0.4, 0.2, 0.1]


def test_a_bonus_keeps_the_policy_open_until_it_has_fallen_to_nothing():
    agent = small(entropy_scale=0.4, entropy_span=4.0)
    found = [agent.bonus()] + [learnt(agent).bonus() for _ in range(5)]
    assert found == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0, 0.0])
    assert {learnt(small(entropy_scale=0.4), n).bonus() for n in (0, 3)} == {0.4}
    still, opened = (small(entropy_scale=scale, actor_rate=0.1) for scale in (0.0, 1e3))
    for each in (still, opened):
        with torch.no_grad():
            each.actor.out.bias[0] += 3.0
    before = learnt(still, 1).metrics()["train/entropy"]
    assert learnt(opened, 20).metrics()["train/entropy"] > before + 0.1


def test_random_actions_come_as_often_as_asked_and_row_by_row():
    rng, action = np.random.default_rng(0), np.full(20_000, 3)
    found = epsilon.mix(action, 4, 0.4, rng)
    assert np.mean(found != action) == pytest.approx(0.3, abs=0.015), "a quarter draws it again"
    assert epsilon.mix(action, 4, 0.0, rng) is action
    assert set(epsilon.mix(action, 4, 1.0, rng)) == {0, 1, 2, 3}


def test_evaluation_explores_only_if_asked_and_keeps_what_was_done():
    obs = {name: array[:, 0] for name, array in batch().items()}
    for amount, alike in ((0.0, True), (1.0, False)):
        agent = small(epsilon_evaluation=amount, actions=50)
        carry, action, _ = agent.policy(agent.init(COUNT), obs, "greedy", np.random.default_rng(0))
        state = {name: torch.from_numpy(array) for name, array in carry["state"].items()}
        best = agent.policy_logits(state).argmax(-1).numpy()
        assert np.array_equal(best, action) == alike
        assert np.array_equal(carry["action"], action)


def test_bfloat16_changes_little_and_states_stay_float32():
    agent, rows = small(precision="bfloat16"), batch()
    with agent.products():
        loss, state, _ = filtered(agent, rows)
    exact, wanted, _ = filtered(small(), rows)
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    torch.testing.assert_close(loss, exact, rtol=1e-3, atol=0)
    torch.testing.assert_close(state["mean"], wanted["mean"], rtol=0, atol=0.05)
    assert not torch.equal(state["mean"], wanted["mean"])
    assert all(np.isfinite(value) for value in learnt(agent, 2).metrics().values())
    carry, action, _ = agent.policy(
        agent.init(COUNT), {k: v[:, 0] for k, v in rows.items()}, "train", np.random.default_rng(0)
    )
    assert action.shape == (COUNT,) and carry["state"]["deter"].dtype == np.float32
    assert agent.dream(carry, 3, np.random.default_rng(0))["image"].shape[:2] == (COUNT, 3)


def test_loading_between_two_updates_goes_on_bit_for_bit():
    whole, other = learnt(small()), small(seed=9)
    state = whole.save()
    other.load(state)
    assert toys.same(other.save(), state)
    assert toys.same(learnt(whole, seed=3).save(), learnt(other, seed=3).save())
    assert whole.metrics() == other.metrics()


def test_pictures_and_dreams_are_of_the_model_and_change_nothing():
    agent = learnt(small())
    before = agent.save()
    shown = agent.report(batch(), np.random.default_rng(0))
    assert shown["context"] == LENGTH // 2
    assert {shown[name].shape for name in ("true", "posterior", "open_loop")} == {
        (COUNT, LENGTH, 64, 64, 3)
    }
    dream = agent.dream(agent.init(2), 4, np.random.default_rng(0))
    assert dream["image"].shape == (2, 4, 64, 64, 3) and dream["image"].dtype == np.uint8
    assert ((dream["proceed"] >= 0) & (dream["proceed"] <= 1)).all()
    assert toys.same(agent.save(), before)


def test_the_policy_comes_to_prefer_the_action_that_pays():
    agent = small(
        model_rate=3e-3, value_rate=3e-3, actor_rate=1e-3, free_nats=0.0, discount=0.5, lam=0.5
    )
    rng, rows = np.random.default_rng(0), batch(count=4)
    rows["image"][:], rows["is_terminal"][:] = 128, False
    for _ in range(80):
        rows["previous_action"] = rng.integers(0, ACTIONS, (4, LENGTH))
        rows["reward"] = (rows["previous_action"] == 2).astype(np.float32)
        agent.train((), rows, 0.5)
    obs = {name: array[:, 0] for name, array in rows.items()}
    carry, action, _ = agent.policy(agent.init(4), obs, "greedy", rng)
    state = {name: torch.from_numpy(array) for name, array in carry["state"].items()}
    assert action.tolist() == [2] * 4
    assert agent.policy_logits(state).softmax(-1)[:, 2].min() > 0.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training__continued": True}, r"training\.continued: true.*allows false"),
        ({"training__sampling": "uniform"}, r"training"),
        ({"epsilon_schedule": "linaer"}, r"epsilon_schedule"),
        ({"least_std": 0.0}, r"least_std"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        small(**changes)


def test_images_of_another_size_are_refused_with_the_right_one():
    config = agents.configure("dreamerv1", "none", ["debug"], {"view.size": [84, 84]})
    with pytest.raises(ValueError, match=r"\[84, 84\].*\[64, 64\]"):
        toys.built("dreamerv1", config, (84, 84, 3), 4, 0)
