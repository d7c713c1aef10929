"""DreamerV3's rules, one by one, on small networks; its numbers are compared in tests/parity."""

import numpy as np
import pytest
import torch

from agents.parts import twohot, unimix
from tests.agents import toys

LEARNT = ("encoder", "model", "decoder", "reward", "proceed", "actor", "critic")


def small(*blocks, seed=0, **changes):
    changes = {"view__size": [16, 16]} | changes
    return toys.little("dreamerv3", "float32", *blocks, seed=seed, **changes)


def batch(agent, seed=0):
    return toys.served(agent, np.random.default_rng(seed))


def tensors(rows):
    return {name: torch.from_numpy(array.copy()) for name, array in rows.items()}


def learnt(agent, updates=1, seed=0):
    for update in range(updates):
        agent.train((), batch(agent, seed + update), 0.5)
    return agent


def stirred(*blocks, **changes):
    """Returns an agent whose weights are not the initial ones: no output layer is zero."""
    return learnt(small(*blocks, learning_rate=3e-3, warmup=0, **changes), 3)


def forced(index):
    """Returns what "draws" given classes (B, T, V)."""
    index = torch.as_tensor(np.asarray(index)).long()
    return lambda _seen, row: index[:, row]


def drawn(agent, seed=0):
    """Returns classes for the trained rows of a batch."""
    c, rng = agent.config, np.random.default_rng(seed)
    return rng.integers(0, c.classes, (c.training.batch, c.training.length, c.latents))


def terms(agent, rows):
    """Returns every term of the loss as a mean, with its graph."""
    return agent.losses(tensors(rows) | agent.noise())[0]


def test_rewards_and_values_are_exactly_zero_before_anything_is_learnt():
    agent = small()
    state = {"deter": torch.randn(5, agent.config.deter), "stoch": torch.randint(0, 4, (5, 4))}
    assert agent.predict(state)[0].tolist() == [0.0] * 5
    for name in ("critic", "slow"):
        value = twohot.mean(agent.networks[name](agent.feature(state)), agent.bins)
        assert value.tolist() == [0.0] * 5, name
    assert agent.policy_logits(state).abs().max() < 0.2
    assert toys.same(*(toys.weights(agent.networks[name]) for name in ("critic", "slow")))


def test_the_first_update_changes_nothing_and_those_after_it_move_everything():
    agent = small(learning_rate=1e-3, warmup=2, free_nats=0.0)
    before = toys.weights(agent.networks)
    learnt(agent)
    assert toys.same(toys.weights(agent.networks), before)
    assert all(np.isfinite(value) for value in agent.metrics().values())
    # Heads that begin at zero pass no gradient on before they have moved themselves.
    learnt(agent, 3, seed=1)
    pairs = zip(toys.weights(agent.networks), before, strict=True)
    assert all((one != other).any() for one, other in pairs)


REACHES = {
    "image": {"encoder", "model", "decoder"},
    "reward": {"encoder", "model", "reward"},
    "continue": {"encoder", "model", "proceed"},
    "dynamics": {"encoder", "model"},
    "representation": {"encoder", "model"},
    "policy": {"actor"},
    "value": {"critic"},
    "replay_value": {"encoder", "model", "critic"},
}


def test_each_loss_reaches_the_parts_that_it_shall_and_no_others():
    agent = stirred(free_nats=0.0)
    parts = {name: agent.networks[name] for name in LEARNT}
    assert set(REACHES) == set(agent.scales())
    found = {name: toys.reached(loss, parts) for name, loss in terms(agent, batch(agent)).items()}
    assert found == REACHES


def test_divergence_below_the_free_nats_teaches_nothing():
    agent = stirred(free_nats=1e3)
    losses = terms(agent, batch(agent))
    for name in ("dynamics", "representation"):
        assert losses[name].item() == 1e3
        assert toys.reached(losses[name], {part: agent.networks[part] for part in LEARNT}) == set()


def test_a_scan_over_two_episodes_is_two_scans():
    agent = stirred(training__length=6)
    rows, index = tensors(batch(agent)), drawn(agent)
    rows["is_first"][:] = False
    rows["is_first"][:, agent.config.training.context + 3] = True
    whole = agent.filter(rows, forced(index)).states
    trained = agent.trained(rows)
    for start in (0, 3):
        part = {name: array[:, start : start + 3] for name, array in trained.items()}
        deter, stoch = rows["deter"][:, -1], rows["stoch"][:, -1]
        if start:  # Whatever was before must not matter.
            deter, stoch = torch.full_like(deter, 9.0), (stoch + 1) % 4
        action = rows["action"][:, start : start + 3] if not start else trained_action(agent, rows)
        found = agent.world.filter(
            part, action, deter, stoch, forced(index[:, start : start + 3])
        ).states
        for one, other in zip(found, whole, strict=True):
            torch.testing.assert_close(one, other[:, start : start + 3], atol=1e-5, rtol=1e-5)


def trained_action(agent, rows):
    """Returns the actions that led to the second three rows, but another to the first of them."""
    context = agent.config.training.context
    action = rows["action"][:, context + 2 : context + 5].clone()
    action[:, 0] = (action[:, 0] + 1) % agent.actions
    return action


def test_acting_row_by_row_filters_as_training_does():
    agent = stirred(training__length=6, training__context=2)
    c, rng = agent.config.training, np.random.default_rng(0)
    rows = toys.made_up(c.batch, c.context + c.length, rng, agent.shape)
    acted = toys.answered(agent, rows, rng)
    data = tensors(acted | {name: acted[name][:, : c.context] for name in ("deter", "stoch")})
    seen = agent.filter(data, forced(acted["stoch"][:, c.context :]))
    wanted = torch.from_numpy(acted["deter"][:, c.context :])
    torch.testing.assert_close(seen.states.deter, wanted, atol=1e-5, rtol=1e-5)
    assert np.array_equal(seen.states.index, acted["stoch"][:, c.context :])
    assert rows["is_first"][:, c.context :].any(), "resets are met on the way"


def test_the_action_that_led_to_a_row_counts_unless_the_row_begins_an_episode():
    agent = stirred()
    rows, index = tensors(batch(agent)), drawn(agent)
    context = agent.config.training.context
    rows["is_first"][:] = False
    rows["is_first"][0, context] = True
    first = agent.filter(rows, forced(index)).states.deter[:, 0]
    rows["action"][:, context - 1] = (rows["action"][:, context - 1] + 1) % agent.actions
    other = agent.filter(rows, forced(index)).states.deter[:, 0]
    assert (first != other).any(-1).tolist() == [False, True]


def rewards(last, terminal, reward):
    size = (1, len(last))
    return {
        "reward": torch.tensor(reward).view(size),
        "is_last": torch.tensor(last).view(size),
        "is_terminal": torch.tensor(terminal).view(size),
    }


def test_a_terminal_ends_what_rows_are_worth_and_a_truncation_does_not():
    behaviour = small(lam=0.5, discount_horizon=2.0).behaviour  # a discount of 0.5
    boot, reward = torch.tensor([10.0, 20.0, 30.0]), [0.0, 1.0, 2.0]
    end = [False, True, False]
    goes_on, cut, dead = (
        behaviour.replay_targets(rewards(last, terminal, reward), boot)[0, 0].item()
        for last, terminal in (([False] * 3, [False] * 3), (end, [False] * 3), (end, end))
    )
    ahead = 2.0 + 0.5 * 30
    assert goes_on == pytest.approx(1 + 0.5 * (0.5 * 20 + 0.5 * ahead))
    assert cut == pytest.approx(1 + 0.5 * 20)
    assert dead == pytest.approx(1.0)


def test_bfloat16_changes_little_and_losses_stay_float32():
    exact, rough = stirred(), small(precision="bfloat16")
    rough.load(exact.save())
    rows, index = tensors(batch(exact)), drawn(exact)
    one, other = (agent.filter(rows, forced(index)) for agent in (exact, rough))
    assert other.states.deter.dtype == torch.bfloat16 and other.states.probs.dtype == torch.float32
    torch.testing.assert_close(other.states.deter.float(), one.states.deter, atol=0.03, rtol=0)
    torch.testing.assert_close(other.states.probs, one.states.probs, atol=0.05, rtol=0)
    losses = (agent.world.losses(agent.trained(rows), seen)[0] for agent, seen in
              ((exact, one), (rough, other)))  # fmt: skip
    wanted, found = losses
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.mean(), wanted[name].mean(), atol=0.02, rtol=0.02)
    learnt(rough, 2)
    assert all(np.isfinite(value) for value in rough.metrics().values())
    assert all(param.dtype == torch.float32 for param in rough.networks.parameters())
    assert batch(rough)["deter"].dtype == np.float32, "as replay keeps it"


def test_compact_latents_are_the_exact_ones_rounded_to_bfloat16():
    exact, compact = stirred(), small("compact")
    compact.load(exact.save())
    one, other = batch(exact), batch(compact)
    assert (one["deter"].dtype, other["deter"].dtype) == (np.float32, np.uint16)
    rounded = torch.from_numpy(one["deter"]).bfloat16()
    assert torch.equal(torch.from_numpy(other["deter"]).view(torch.bfloat16), rounded)
    assert np.array_equal(one["stoch"], other["stoch"]) and one["stoch"].dtype == np.uint8
    index = drawn(exact)
    wanted = exact.filter(tensors(one | {"deter": rounded.float().numpy()}), forced(index)).states
    found = compact.filter(tensors(other), forced(index)).states
    torch.testing.assert_close(found.deter, wanted.deter, atol=1e-6, rtol=1e-6)
    learnt(compact)
    assert compact.train((), other, 0.5)[1]["deter"].dtype == np.uint16


def test_loading_between_two_updates_brings_back_the_latents_that_are_on_their_way():
    whole, other = learnt(small()), learnt(small(seed=9), 2, seed=5)
    state = whole.save()
    other.load(state)
    assert toys.same(other.save(), state)
    rows = batch(whole, 3)
    (_, one), (_, two) = (agent.train((), rows, 0.5) for agent in (whole, other))
    assert one.keys() == {"deter", "stoch"} and toys.same(one, two)
    assert toys.same(whole.save(), other.save()) and whole.metrics() == other.metrics()


def test_what_goes_back_to_replay_is_what_the_batch_before_was_filtered_to():
    agent = small(learning_rate=1e-9)
    rows, index = batch(agent), drawn(agent)
    agent.draw_posterior = lambda _noise: forced(index)
    wanted = agent.filter(tensors(rows), forced(index)).states
    assert agent.train((), rows, 0.5)[1] == {}
    _, kept = agent.train((), batch(agent, 1), 0.5)
    torch.testing.assert_close(torch.from_numpy(kept["deter"]), wanted.deter.detach())
    assert np.array_equal(kept["stoch"], index)


def test_nothing_is_read_before_it_is_written():
    plain, filled = stirred(), stirred()
    assert toys.same(plain.save(), filled.save())
    learnt(plain, 2)
    torch.use_deterministic_algorithms(True)  # Fills what is allocated with NaN.
    try:
        learnt(filled, 2)
    finally:
        torch.use_deterministic_algorithms(False)
    assert toys.same(plain.save(), filled.save())


def test_a_dream_begins_where_the_carry_is():
    agent = stirred()
    obs = {name: array[:, 0] for name, array in batch(agent).items()}
    carry, _, _ = agent.policy(agent.init(2), obs, "greedy", np.random.default_rng(0))
    dream = agent.dream(carry, 3, np.random.default_rng(0))
    state = {name: torch.from_numpy(array) for name, array in carry["state"].items()}
    image = (agent.decode(state).detach() * 255).round().to(torch.uint8)
    assert np.array_equal(dream["image"][:, 0], image)
    reward, proceed = agent.predict(state)
    assert np.array_equal(dream["reward"][:, 0], reward.detach())
    assert np.array_equal(dream["proceed"][:, 0], proceed.detach())


def test_evaluation_draws_latents_and_takes_the_likeliest_action():
    agent = stirred()
    obs = {name: array[:, 0] for name, array in batch(agent).items()}
    carries = [
        agent.policy(agent.init(2), obs, "greedy", np.random.default_rng(seed)) for seed in range(8)
    ]
    assert len({carry["state"]["stoch"].tobytes() for carry, _, _ in carries}) > 1
    for carry, action, kept in carries:
        state = {name: torch.from_numpy(array) for name, array in carry["state"].items()}
        assert agent.policy_logits(state).argmax(-1).tolist() == action.tolist()
        assert kept == {}


def test_the_policy_comes_to_prefer_the_action_that_pays():
    agent = small(learning_rate=1e-2, warmup=1, discount_horizon=2.0, lam=0.5, free_nats=0.0)
    rng, rows = np.random.default_rng(0), batch(agent)
    rows["image"][:] = 128
    for name in ("is_first", "is_last", "is_terminal"):
        rows[name][:] = False
    for _ in range(150):
        rows["action"] = rng.integers(0, agent.actions, rows["action"].shape)
        rows["reward"][:, 1:] = rows["action"][:, :-1] == 2
        agent.train((), rows, 0.5)
    obs = {name: array[:, 0] for name, array in rows.items()}
    carry, action, _ = agent.policy(agent.init(2), obs, "greedy", rng)
    state = {name: torch.from_numpy(array) for name, array in carry["state"].items()}
    assert action.tolist() == [2] * 2
    assert agent.policy_logits(state).softmax(-1)[:, 2].min() > 0.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training__context": 0}, r"training\.context: 0.*allowed from 1"),
        ({"training__sampling": "episodes"}, r"training"),
        ({"view__size": [60, 64]}, r"view\.size.*multiples of 16"),
        ({"deter": 20}, r"deter: 20.*groups: 8"),
        ({"depth": 1}, r"depth: 1.*groups: 8"),
        ({"classes": 300}, r"classes.*300"),
        ({"precision": "float61"}, r"precision"),
        ({"horizn": 3}, r"did you mean 'horizon'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, said):
    with pytest.raises(ValueError, match=said):
        small(**changes)


def test_latents_are_never_certain():
    agent = stirred()
    seen = agent.filter(tensors(batch(agent)), agent.draw_posterior(agent.noise()))
    assert seen.states.probs.min() >= unimix.UNIFORM / agent.config.classes
    torch.testing.assert_close(seen.states.probs.sum(-1), torch.ones(seen.states.index.shape))
