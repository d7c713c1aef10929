"""DreamerV3 of January 2023 as a whole: its losses and what they reach, settings, checkpoints.

No official numbers are there to compare it with: what can be worked out by hand is.
"""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import agents
from agents.parts import categorical, twohot
from launch import vocabulary
from tests.agents import toys, vectors
from tests.agents.january import (
    ACTIONS,
    AGENT,
    GAMMA,
    MODEL,
    SHAPE,
    made_up,
    networks,
    opened,
    shaken,
    small,
    tensors,
)

# deter, units, depth, layers; parameters in millions with 18 actions are our own count
SIZES = {
    "small": (512, 512, 32, 2, 17.9),
    "medium": (1024, 640, 48, 3, 36.9),
    "large": (2048, 768, 64, 4, 76.8),
    "xlarge": (4096, 1024, 96, 5, 200.7),
}
VECTORS = vectors.load()


def test_an_image_is_what_the_decoder_says_plus_one_half():
    agent = small()
    torch.nn.init.zeros_(agent.decoder.convs[-1].weight)
    assert (agent.decode(agent.initial(2)) == 0.5).all()
    data = tensors(made_up(agent))
    losses, seen = agent.model_losses(data, agent.draws(3, 6).filtered)
    wanted = (0.5 - data["image"].float() / 255).square().sum((2, 3, 4))
    torch.testing.assert_close(losses["image"], wanted)
    assert seen["mean"].shape == (18, *SHAPE)


def test_reward_and_critic_begin_at_exactly_zero_and_the_actor_does_not():
    agent = small()
    for name in ("reward", "critic", "slow"):
        assert not getattr(agent, name).out.weight.any() and not getattr(agent, name).out.bias.any()
    std = math.sqrt(2 / (32 + ACTIONS))
    assert agent.actor.out.weight.std().item() == pytest.approx(std, rel=0.15)
    _, _, _, metrics, _ = opened(agent)
    assert metrics["train/value"] == 0 and metrics["train/imagined_reward"] == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_size_has_the_widths_of_its_row(size):
    agent = small(actions=18)
    agent.config = config = agents.configure(AGENT, "none", [size])
    *widths, millions = SIZES[size]
    assert [config.deter, config.units, config.depth, config.layers] == widths
    agent.latent = categorical.Categorical(config.latents, config.classes)
    with torch.device("meta"):
        parts = agent.build(SHAPE)
    count = sum(p.numel() for k, part in parts.items() if k != "slow" for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_divergence_of_each_row_has_a_nat_free_and_two_scales():
    v, agent = VECTORS["kl_categorical"], small(latents=2, classes=3)
    post, prior = (torch.tensor(v[name]).flatten(1) for name in ("post_logits", "prior_logits"))
    kl = agent.latent.kl(agent.rssm.folded(post), agent.rssm.folded(prior))
    torch.testing.assert_close(kl, torch.tensor(v["kl_per_step_unimix"]), rtol=1e-4, atol=1e-6)
    scales = agent.scales()
    assert (scales["dynamics"], scales["representation"]) == (0.5, 0.1)
    total = (scales["dynamics"] + scales["representation"]) * kl.clamp(min=1.0).mean()
    assert total.item() == pytest.approx(v["v3_2023_total"], rel=1e-5)
    losses, _, _, _, seen = opened(shaken(small()))
    torch.testing.assert_close(losses["dynamics"].detach(), seen["kl"].clamp(min=1.0))
    torch.testing.assert_close(losses["representation"], losses["dynamics"])


def test_each_divergence_trains_one_side_only():
    agent = shaken(small(free_nats=0.0))
    losses, _, _, _, seen = opened(agent)
    for name, side in (("dynamics", "prior"), ("representation", "posterior")):
        loss = losses[name].sum()
        found = torch.autograd.grad(loss, seen[side], retain_graph=True, allow_unused=True)[0]
        assert found is not None and found.any()
    head = list(agent.rssm.prior_out.parameters())
    found = torch.autograd.grad(losses["dynamics"].sum(), head, retain_graph=True)
    assert all(each.any() for each in found)
    # The representation's prior is detached; what reaches its head comes through the beginning.
    state = torch.autograd.grad(losses["representation"].sum(), head, allow_unused=True)
    assert all(each is None or not each.any() for each in state)


def test_the_continue_label_is_hard_and_the_reward_is_squashed():
    agent = shaken(small())
    batch = made_up(agent)
    batch["reward"][0, 0] = 1000.0
    losses, seen = agent.model_losses(tensors(batch), agent.draws(3, 6).filtered)
    logit = agent.proceed(seen["feature"])[..., 0]
    alive = torch.from_numpy(~batch["is_terminal"]).float()
    wanted = -(alive * F.logsigmoid(logit) + (1 - alive) * F.logsigmoid(-logit))
    torch.testing.assert_close(losses["continue"], wanted)
    logits, target = agent.reward(seen["feature"])[0, 0], twohot.symlog(torch.tensor([1000.0]))
    two = twohot.encode(target, torch.linspace(-20, 20, 255))[0]
    torch.testing.assert_close(losses["reward"][0, 0], -(two * logits.log_softmax(-1)).sum())


def test_the_action_of_the_row_before_leads_to_a_row():
    agent = shaken(small())
    batch, noise = made_up(agent), agent.draws(3, 6).filtered
    batch["is_first"][:, 1:] = False
    before = agent.model_losses(tensors(batch), noise)[1]["deter"]
    batch["action"][:, 2] = (batch["action"][:, 2] + 1) % ACTIONS
    batch["action"][:, 5] = (batch["action"][:, 5] + 1) % ACTIONS
    after = agent.model_losses(tensors(batch), noise)[1]["deter"]
    moved = (before != after).any(-1).any(0).tolist()
    assert moved[:3] == [False] * 3 and moved[3]


def test_each_loss_reaches_the_networks_that_it_trains():
    agent = shaken(small(free_nats=0.0))
    losses, policy, value, _, _ = opened(agent)
    parts = {k: v for k, v in networks(agent).items() if k != "slow"}
    core = {"encoder", "rssm"}
    wanted = {
        "image": core | {"decoder"}, "reward": core | {"reward"}, "continue": core | {"proceed"},
        "dynamics": core, "representation": core, "policy": {"actor"}, "value": {"critic"},
    }  # fmt: skip
    for name, loss in (losses | {"policy": policy, "value": value}).items():
        assert toys.reached(loss.mean(), parts) == wanted[name], name


def test_the_policy_holds_one_percent_of_uniform_wherever_it_acts():
    agent = small()
    with torch.no_grad():
        agent.actor.out.bias[1] = 1000.0
    probs = agent.policy_logits(agent.initial(1)).exp()[0]
    wanted = torch.tensor([0.01 / 3, 0.99 + 0.01 / 3, 0.01 / 3])
    torch.testing.assert_close(probs, wanted, rtol=1e-3, atol=1e-6)
    rng, carry = np.random.default_rng(0), agent.init(500)
    obs = {"image": np.zeros((500, *SHAPE), np.uint8), "is_first": np.ones(500, bool)}
    played = agent.policy(carry, obs, "sampled", rng)[1]
    assert 0 < (played != 1).sum() < 20


def test_the_fast_critic_bootstraps_and_the_slow_one_only_pulls():
    agent = shaken(small())
    data = tensors(made_up(agent))
    noise, still = agent.draws(3, 6), copy.deepcopy(agent.scale)
    start, no = agent.initial(18), torch.zeros(18, dtype=torch.bool)
    targets = []
    for name in ("", "slow", "critic"):
        agent.scale.load_state_dict(still.state_dict())
        if name:
            getattr(agent, name).out.bias.data[200] += 9.0
        targets.append(agent.behaviour_losses(start, no, noise)[2]["train/imagined_return"])
    assert targets[0] == targets[1] != targets[2]
    assert data["reward"].shape == (3, 6)


def test_advantages_are_divided_by_the_distance_of_two_percentiles():
    agent = shaken(small())
    noise, start, no = agent.draws(3, 6), agent.initial(18), torch.zeros(18, dtype=torch.bool)
    found = []
    for high in (0.0, 1e6):
        agent.scale.low.zero_()
        agent.scale.high.fill_(high)
        metrics = agent.behaviour_losses(start, no, noise)[2]
        found.append(metrics["train/advantage"] * metrics["train/return_scale"])
    assert metrics["train/return_scale"] > 9e5
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_the_world_model_is_updated_before_play_is_imagined(monkeypatch):
    agent, order = small(), []
    for name in ("model", "actor", "critic"):
        opt = getattr(agent, f"{name}_opt")
        step = opt.minimise
        monkeypatch.setattr(
            opt, "minimise", lambda loss, n=name, s=step: order.append(n) or s(loss)
        )
    imagine = agent.behaviour_losses
    monkeypatch.setattr(agent, "behaviour_losses", lambda *x: order.append("play") or imagine(*x))
    agent.train((), made_up(agent), 0.0)
    assert order == ["model", "play", "actor", "critic"]


def test_the_slow_critic_follows_by_a_fiftieth_an_update():
    agent = small()
    assert toys.same(toys.weights(agent.slow), toys.weights(agent.critic))
    before = toys.weights(agent.slow)
    agent.train((), made_up(agent), 0.0)
    pairs = zip(before, toys.weights(agent.slow), toys.weights(agent.critic), strict=True)
    for old, new, fast in pairs:
        np.testing.assert_allclose(new, 0.98 * old + 0.02 * fast, rtol=1e-4, atol=1e-8)


def test_model_actor_and_critic_each_have_an_optimiser_of_their_own():
    agent = toys.built(
        AGENT, agents.configure(AGENT, "none", ["medium"], {"depth": 4}), SHAPE, 3, 0
    )
    for name, rate, eps, clip in (
        ("model", 1e-4, 1e-8, 1000), ("actor", 3e-5, 1e-5, 100), ("critic", 3e-5, 1e-5, 100)
    ):  # fmt: skip
        opt = getattr(agent, f"{name}_opt")
        assert (opt.adam.param_groups[0]["lr"], opt.eps, opt.clip, opt.decay) == (
            rate, eps, clip, 0,
        )  # fmt: skip
    owned = {name: {id(p) for p in getattr(agent, f"{name}_opt").params}
             for name in ("model", "actor", "critic")}  # fmt: skip
    assert not owned["model"] & owned["actor"] and not owned["actor"] & owned["critic"]
    slow = {id(p) for p in agent.slow.parameters()}
    assert not slow & set().union(*owned.values())
    every = {id(p) for name, part in networks(agent).items() for p in part.parameters()}
    assert set().union(*owned.values()) == every - slow


@pytest.mark.parametrize("blocks", [[], ["atari57"], ["debug"]], ids=str)
def test_random_play_lasts_until_a_first_batch_can_be_drawn(blocks):
    training = agents.configure(AGENT, "none", blocks).training
    rows = training.prefill // training.streams + 1  # The row of the reset is no step.
    assert training.streams * (rows - training.length + 1) == training.start
    assert (training.context, training.online, training.recent) == (0, False, 1.0)


def test_a_run_has_the_ratio_and_the_streams_of_its_suite():
    small_run, large_run = (agents.configure(AGENT, name, []) for name in ("atari100k", "atari57"))
    assert (small_run.training.streams, small_run.training.ratio) == (1, 1024.0)
    assert (large_run.training.streams, large_run.training.ratio) == (8, 64.0)
    assert (small_run.precision, large_run.precision) == ("float32", "auto")
    assert (large_run.deter, large_run.depth, large_run.layers) == (4096, 96, 5)
    assert math.isclose(small_run.discount, GAMMA)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training.context": 1}, r"training\.context: 1; .* allowed is 0"),
        ({"view.size": [60, 64]}, r"view\.size: \(60, 64\)"),
    ],
)
def test_a_training_or_an_image_of_another_kind_is_refused(changes, said):
    config = agents.configure(AGENT, "none", ["debug"], changes)
    shape = (*config.view.size, 3)
    with pytest.raises(ValueError, match=said):
        toys.built(AGENT, config, shape, ACTIONS, 0)
    random = agents.configure("random", "none", [])
    config = config.model_copy(update={"training": random.training})
    with pytest.raises(ValueError, match="'uniform', not 'none'"):
        toys.built(AGENT, config, SHAPE, ACTIONS, 0)


def test_a_stopped_run_goes_on_bit_for_bit():
    whole, other = small(), small(seed=9)
    for update in range(4):
        whole.train((), made_up(whole, update), 0.0)
        if update == 1:
            other.load(whole.save())
        if update > 1:
            other.train((), made_up(other, update), 0.0)
    assert toys.same(other.save(), whole.save())
    assert not toys.same(other.save(), small().save())


def test_the_same_seed_learns_the_same_and_another_does_not():
    found = []
    for seed in (0, 0, 1):
        agent = small(seed=seed)
        agent.train((), made_up(agent), 0.0)
        found.append(agent.save())
    assert toys.same(found[0], found[1]) and not toys.same(found[0], found[2])


def test_an_update_in_bfloat16_is_close_to_one_in_float32():
    found = []
    for precision in ("float32", "bfloat16"):
        agent = small(precision=precision)
        agent.train((), made_up(agent), 0.0)
        found.append(agent.metrics())
        assert {p.dtype for p in networks(agent)["rssm"].parameters()} == {torch.float32}
    plain, short = found
    assert short != plain
    for name in ("loss/image", "loss/reward", "loss/continue", "train/prior_entropy"):
        assert short[name] == pytest.approx(plain[name], rel=0.02), name


def test_every_metric_may_be_written_and_is_explained():
    agent = small()
    carry, kept = agent.train((), made_up(agent), 0.0)
    metrics = agent.metrics()
    vocabulary.check(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    assert (carry, kept, agent.metrics()) == ((), {}, {})
    page = (Path(__file__).parents[2] / "docs" / "agents" / f"{AGENT}.md").read_text()
    assert {name for name in metrics if f"| `{name}` |" not in page} == set()


def test_losses_fall_on_a_batch_that_is_seen_again_and_again():
    agent, traces = small(), []
    for _ in range(50):
        agent.train((), made_up(agent), 0.0)
        traces.append(agent.metrics())
    for name, share in (("image", 0.9), ("reward", 0.9), ("continue", 0.9)):
        assert traces[-1][f"loss/{name}"] < share * traces[0][f"loss/{name}"], name
    assert all(np.isfinite(list(trace.values())).all() for trace in traces)


def test_a_reward_of_the_last_action_is_foreseen_and_then_earned():
    # Without the image, so that the model soon cares for what an action does.
    rates = {"model_rate": 1e-2, "actor_rate": 3e-3, "critic_rate": 1e-2}
    sizes = {"training.batch": 8, "horizon": 3, "depth": 1}
    agent = small(image_scale=0.0, discount_horizon=5.0, **rates, **sizes)
    rng = np.random.default_rng(0)
    for _ in range(160):
        batch = made_up(agent, int(rng.integers(1 << 30)))
        batch["image"][:] = 100
        for name in ("is_terminal", "is_last", "is_first"):
            batch[name][:] = False
        batch["is_first"][:, 0] = True
        batch["reward"][:, 1:] = batch["action"][:, :-1] == 1
        batch["reward"][:, 0] = 0
        agent.train((), batch, 0.0)
    agent.metrics()
    agent.train((), batch, 0.0)
    assert agent.metrics()["loss/reward"] < 0.6  # 0.86 if the action counts for nothing
    probs = agent.policy_logits(agent.initial(1)).exp()[0]
    assert probs[1] > 0.8, probs


def test_a_report_and_a_dream_look_like_images():
    agent = small()
    batch = made_up(agent)
    report = agent.report(batch, np.random.default_rng(0))
    for name in ("posterior", "open_loop"):
        assert report[name].shape == batch["image"].shape and report[name].dtype == np.uint8
    dream = agent.dream(agent.init(2), 4, np.random.default_rng(0))
    assert dream["image"].shape == (2, 4, *SHAPE)
    assert ((dream["proceed"] > 0) & (dream["proceed"] < 1)).all()
    assert {*MODEL, "actor", "critic", "slow"} == set(networks(agent))
