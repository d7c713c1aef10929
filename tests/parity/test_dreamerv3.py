"""Dreamer v3 beside the official program, from its weights, batches and draws.

Where something has a fast form and a plain twin, both are compared.
Source of the numbers: danijar/dreamerv3@e3f0224 with JAX 0.4.33; tests/parity/golden/README.md.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from agents.parts import block_scan, native, percentiles, twohot, unimix
from tests.agents import toys
from tests.parity import golden
from tests.parity import official_v3 as official
from tests.parity.official_v3 import AGENT, tensor


@pytest.fixture(params=["fast", "plain"])
def twin(request, monkeypatch):
    """Once with all that is written by hand, once with what torch differentiates by itself."""
    if request.param == "plain":
        monkeypatch.setattr(block_scan, "observe", block_scan.plain_observe)
        monkeypatch.setattr(native, "kernels", lambda: None)
    return request.param


def seen_by(agent):
    """Returns the trained rows and what they are filtered to with the official draws."""
    return agent.trained(official.data()), agent.filter(official.data(), official.posterior())


def dreamt_by(agent, seen):
    return agent.dream_from(seen.states, *official.dreamt())


def told(agent):
    """Makes an agent draw what the official program drew."""
    agent.draw_posterior = lambda _noise: official.posterior()
    agent.draw_dream = lambda _noise: official.dreamt()
    return agent


def test_a_batch_begins_at_the_stored_state_with_the_action_that_was_taken_there():
    batch, agent, given = golden.load(AGENT, "batch.npz"), official.loaded(), official.data()
    context = agent.config.training.context
    one_hot = unimix.one_hot(given["stoch"][:, -1], agent.config.classes, torch.float32)
    found = {"init/deter": given["deter"][:, -1], "prevact": given["action"][:, context - 1 : -1]}
    found["init/stoch"] = one_hot.view(batch["init/stoch"].shape)
    found |= {f"obs/{k}": agent.trained(given)[k] for k in official.FLAGS}
    golden.all_close(found, {name: batch[name] for name in found}, 0.0)


@pytest.mark.usefixtures("twin")
def test_filtering_and_the_losses_of_the_model_are_the_official_ones():
    file, agent = golden.load(AGENT, "observe.npz"), official.loaded()
    rows, seen = seen_by(agent)
    deter, probs, index = seen.states
    model, shape = agent.networks["model"], rows["reward"].shape
    post, prior = model.posterior_logits(deter, seen.tokens), model.prior_logits(deter)
    one_hot = unimix.one_hot(index, agent.config.classes, torch.float32).view(probs.shape)
    mixed, reward = unimix.mixed(prior), agent.networks["reward"](seen.feature)
    proceed = agent.networks["proceed"](seen.feature)[..., 0]
    flat = {"deter": deter.flatten(0, 1), "stoch": index.flatten(0, 1)}
    losses, metrics = agent.world.losses(rows, seen)
    found = {
        "tokens": seen.tokens,
        "deter": deter,
        "post_logit": post,
        "post_probs": probs,
        "stoch": one_hot,
        "stoch_index": index,
        "prior_logit": prior,
        "prior_probs": mixed,
        "kl_before_free_nats": unimix.divergence(probs, mixed),
        "post_entropy": unimix.entropy(probs),
        "prior_entropy": unimix.entropy(mixed),
        "recon_image": agent.decode(flat).unflatten(0, shape),
        "rew_logits": reward,
        "rew_pred": twohot.mean(reward, agent.bins),
        "con_logit": proceed,
        "con_prob": proceed.sigmoid(),
        "twohot_bins": agent.bins,
        "final_carry_deter": deter[:, -1],
        "final_carry_stoch": one_hot[:, -1],
    }
    terms = {f"loss_{name}": losses.get(ours) for name, ours in official.LOSSES.items()}
    found |= {name: each for name, each in terms.items() if each is not None}
    golden.all_close(found, file)
    golden.close(
        agent.bins / tensor(file["twohot_bins"]).where(agent.bins != 0, 1), agent.bins != 0
    )
    golden.close(seen.feature, torch.cat([found["deter"], one_hot.flatten(2)], -1))
    names = {"kl_before_free_nats": "divergence", "post_entropy": "posterior_entropy"}
    for name, ours in names.items():
        golden.close(metrics[f"train/{ours}"], file[name].mean())
    golden.close(metrics["train/prior_entropy"], file["prior_entropy"].mean())


def numbers(agent, dream, judged):
    """Returns what the official program notes of imagined play, (N, L, ...)."""
    nets, size, mean = agent.networks, agent.config.deter, lambda x: twohot.mean(x, agent.bins)
    feature = dream.feature
    logits, reward, critic = (nets[name](feature) for name in ("actor", "reward", "critic"))
    logp, proceed = logits.log_softmax(-1), nets["proceed"](feature)[..., 0]
    stoch = feature[..., size:].unflatten(-1, (agent.config.latents, -1))
    golden.close(logits[:-1], dream.logits)
    golden.close(critic.shape[0], len(judged.value))
    action = tensor(golden.load(AGENT, "imagine.npz")["action"]).long().t()
    golden.close(action[:-1], dream.action, 0.0)
    found = {
        "action": action,
        "deter": feature[..., :size],
        "stoch": stoch,
        "prior_logit": nets["model"].prior_logits(feature[1:, :, :size]),
        "stoch_index": stoch[1:].argmax(-1),
        "pol_logits": logits,
        "logpi": logp.gather(-1, action[..., None])[..., 0],
        "entropy": -(logp.exp() * logp).sum(-1),
        "rew_logits": reward,
        "rew": torch.cat([mean(reward[:1]), judged.reward]),
        "con_logit": proceed,
        "con": judged.proceed,
        "val_logits": critic,
        "val": judged.value,
        "slowval": torch.cat([judged.slow, mean(nets["slow"](feature[-1:]))]),
        "weight": torch.cat([judged.weight, judged.weight[-1:] * judged.proceed[-1:]]),
        "ret": judged.target,
        "adv": (judged.target - judged.value[:-1]) / agent.scale.scale,
    }
    return {name: each.transpose(0, 1) for name, each in found.items()}


@pytest.mark.usefixtures("twin")
def test_imagined_play_and_what_is_made_of_it_are_the_official_ones():
    file, agent = golden.load(AGENT, "imagine.npz"), official.loaded()
    found = {f"retnorm_{k}_before": getattr(agent.scale, long).clone() for k, long in ENDS.items()}
    rows, seen = seen_by(agent)
    dream = dreamt_by(agent, seen)
    losses, _, judged = agent.behaviour.losses(dream)
    found |= numbers(agent, dream, judged)
    found |= {"start_deter": found["deter"][:, 0], "start_stoch": found["stoch"][:, 0]}
    found |= {f"retnorm_{k}_after": getattr(agent.scale, long) for k, long in ENDS.items()}
    whole = percentiles.Percentiles(1.0, agent.config.return_limit)
    whole.update(judged.target)
    found |= {"ret_perc5": whole.low, "ret_perc95": whole.high}
    found |= {"retnorm_offset": agent.scale.low, "retnorm_scale": agent.scale.scale}
    shape, boot = rows["reward"].shape, judged.target[0]
    for name in ("policy", "value"):
        found[f"loss_{name}_steps"] = losses[name].t()
        found[f"loss_{name}"] = losses[name].mean(0).view(shape)
    critic, slow = (agent.networks[name](seen.feature) for name in ("critic", "slow"))
    found["repval_boot"] = boot.view(shape)
    found["repval_val"] = twohot.mean(critic, agent.bins)
    found["repval_slowval"] = twohot.mean(slow, agent.bins)
    found["repval_ret"] = agent.behaviour.replay_targets(rows, boot)
    found["loss_repval"] = agent.behaviour.replay_loss(rows, seen, boot)
    golden.all_close(found, file)


ENDS = {"lo": "low", "hi": "high"}


def test_the_model_dreams_as_its_plain_step_does():
    file, agent = golden.load(AGENT, "imagine.npz"), official.loaded()
    model, deter = agent.networks["model"], tensor(file["start_deter"])
    stoch, found = tensor(file["start_stoch"]).flatten(1), []
    for step in range(file["ret"].shape[1]):
        action = F.one_hot(tensor(file["action"][:, step]).long(), agent.actions).float()
        deter = model.step(deter, stoch, action)
        found.append((deter, model.prior_logits(deter)))
        stoch = tensor(file["stoch"][:, step + 1]).flatten(1)
    deters, logits = (torch.stack(each, 1) for each in zip(*found, strict=True))
    golden.close(deters, file["deter"][:, 1:])
    golden.close(logits, file["prior_logit"])


def totalled(agent):
    """Returns the means of all losses by official name, their weights, and the total."""
    losses, _, _ = told(agent).losses(official.data())
    scales = agent.scales()
    assert set(losses) == set(official.LOSSES.values()) == set(scales)
    total = sum(scales[name] * loss for name, loss in losses.items())
    return {name: losses[ours] for name, ours in official.LOSSES.items()}, total


@pytest.mark.usefixtures("twin")
def test_the_total_loss_and_all_its_gradients_are_the_official_ones():
    file, agent = golden.load(AGENT, "loss_grad.npz"), official.loaded()
    losses, total = totalled(agent)
    for name, wanted in golden.sub(file, "mean_loss/").items():
        golden.close(losses[name], wanted, name=name)
    scales = {name: agent.scales()[ours] for name, ours in official.LOSSES.items()}
    golden.all_close(scales, golden.sub(file, "loss_scale/"))
    golden.close(total, file["total_loss_float64"])
    golden.close(total, file["total_loss"], 2e-5)
    found = official.gradients(agent, total)
    golden.gradients_close(found, golden.sub(file, "grad/"))
    golden.close(official.norm(found), file["global_grad_norm"])
    rest = official.gradients(agent, total - scales["image"] * losses["image"], "enc", "dyn")
    golden.gradients_close(rest, golden.sub(file, "grad_without_image_loss/"))


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize("name", official.LOSSES)
def test_a_loss_reaches_the_parts_that_it_officially_reaches(name):
    wanted, agent = golden.load(AGENT, "loss_grad.npz"), official.loaded()
    losses, _ = totalled(agent)
    for part, size in golden.sub(wanted, f"grad_norm_by_loss/{name}/").items():
        found = official.norm(official.gradients(agent, losses[name], part))
        golden.close(found, size, golden.GRADIENTS, part)
        assert (found == 0) == (size == 0), f"{name} and {part}"


class Script(np.random.Generator):
    """A generator that answers with given numbers in [0, 1), in the order of its answers."""

    def __init__(self, *answers):
        super().__init__(np.random.PCG64(0))
        self.answers = list(answers)

    def random(self, size=None, dtype=np.float64):
        return self.answers.pop(0).reshape(size).astype(dtype)


def middle(probs, index):
    """Returns numbers in the middle of what belongs to some classes."""
    above = np.take_along_axis(probs.cumsum(-1), index[..., None], -1)[..., 0]
    return above - 0.5 * np.take_along_axis(probs, index[..., None], -1)[..., 0]


def test_acting_resets_draws_and_keeps_as_the_official_policy():
    file, agent = golden.load(AGENT, "policy.npz"), official.loaded()
    images = golden.load(AGENT, "batch.npz")["raw/image"]
    images = images.reshape(-1, *images.shape[2:])
    carry = agent.init(file["is_first"].shape[1])
    for step, first in enumerate(file["is_first"]):
        given = {name: array[step] for name, array in file.items()}
        index = given["carry_out/stoch"].argmax(-1)
        mixed = unimix.mixed(tensor(given["post_logit"])).numpy()
        rng = Script(middle(mixed, index), middle(given["policy_probs"], given["action"]))
        if step:
            golden.close(carry["state"]["deter"], given["carry_in/deter"])
            golden.close(carry["state"]["stoch"], given["carry_in/stoch"].argmax(-1), 0.0)
            golden.close(carry["action"], given["carry_in/action"], 0.0)
        obs = {"image": images[given["image_flat_index"]], "is_first": first}
        carry, action, kept = agent.policy(carry, obs, "train", rng)
        assert rng.answers == []
        state = {name: tensor(array) for name, array in carry["state"].items()}
        tokens = agent.encode(tensor(obs["image"]))
        logits = agent.policy_logits(state)
        one_hot = unimix.one_hot(state["stoch"], agent.config.classes, torch.float32)
        found = {
            "tokens": tokens,
            "post_logit": agent.networks["model"].posterior_logits(state["deter"], tokens),
            "feat": agent.feature(state),
            "policy_logits": logits,
            "policy_probs": logits.softmax(-1),
            "action": action,
            "carry_out/deter": state["deter"],
            "carry_out/stoch": one_hot.view(given["carry_out/stoch"].shape),
            "carry_out/action": carry["action"],
        }
        left = ("carry_in", "image_flat_index", "is_")
        golden.all_close(found, {k: v for k, v in given.items() if not k.startswith(left)})
        golden.close(kept["deter"], given["carry_out/deter"])
        golden.close(kept["stoch"], index, 0.0)


def stale():
    return golden.sub(golden.load(AGENT, "batch.npz"), "stale_carry/")


def updated(carry):
    rate = float(golden.load(AGENT, "train_step.npz")["lr"])
    agent = told(official.loaded(learning_rate=rate, warmup=0))
    carry, kept = agent.train(carry, official.served(), 0.5)
    assert kept == {}, "what replay keeps comes one update later"
    return agent, rate


def test_a_whole_update_leaves_the_official_weights_slow_critic_and_latents():
    file, observed = (golden.load(AGENT, f"{name}.npz") for name in ("train_step", "observe"))
    grads, before = (golden.load(AGENT, f"{name}.npz") for name in ("loss_grad", "params"))
    agent, rate = updated(stale())
    found, after = official.weights(agent), golden.sub(file, "after/")
    golden.close(agent.scale.low, after.pop("retnorm/lo"))
    golden.close(agent.scale.high, after.pop("retnorm/hi"))
    golden.close(official.served()["action"][:, -1], after.pop("carry_action"), 0.0)
    last = after.pop("carry_deter")
    for name, wanted in after.items():
        share = agent.config.slow_rate if name.startswith("slow") else 1.0
        grad = np.abs(grads[f"grad/{name.removeprefix('slow')}"])
        # A first step is rate * sign(grad): where roundings decide the sign, only its size counts.
        sure = grad > golden.GRADIENTS * grad.max()
        off = np.abs(golden.numpy(found[name]) - wanted)
        allowed = 1e-4 * rate + 2e-7 * np.abs(wanted)
        assert (off <= np.where(sure, allowed, 2 * share * rate + allowed)).all(), name
        assert sure.mean() > 0.5, name
        assert (golden.numpy(found[name]) != before[name]).any(), name
    means = golden.sub(grads, "mean_loss/")
    metrics = agent.metrics()
    found = {name: metrics[f"loss/{ours}"] for name, ours in official.LOSSES.items()}
    golden.all_close(found, means)
    golden.close(metrics["train/grad_norm"], grads["global_grad_norm"], golden.GRADIENTS)
    _, kept = agent.train((), official.served(), 0.5)
    golden.close(kept["deter"], observed["deter"])
    golden.close(kept["deter"][:, -1], last)
    golden.close(kept["stoch"], observed["stoch_index"], 0.0)


def test_what_the_update_before_left_behind_is_ignored():
    assert toys.same(updated(stale())[0].save(), updated(())[0].save())
