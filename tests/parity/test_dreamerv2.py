"""DreamerV2 against the official program, number by number.

Forced are the official draws; everything else is computed here.
"""

import re

import numpy as np
import pytest
import torch

from agents import dreamerv2
from agents.parts import categorical, gaussian, recurrent
from tests.parity import golden
from tests.parity import official_v2 as v2

NONE = torch.zeros(0)


@pytest.fixture(scope="module")
def agent():
    return v2.built()


def filtered(agent, run):
    """Returns the official numbers of a batch, our losses and all that lies between."""
    wanted, data = golden.load(v2.NAME, f"observe_{run}.npz"), v2.batch(run)
    state = agent.initial(len(data["reward"]))
    if run == "B":
        state = v2.state(wanted, "init_")
    losses, found = agent.model_losses(data, state, *v2.tensors(wanted, "post_stoch"))
    return wanted, losses, found


@pytest.mark.parametrize("run", ["A", "B"])
def test_the_batch_holds_what_the_view_and_the_discount_make_of_it(agent, run):
    rows = golden.sub(golden.load(v2.NAME, "batch.npz"), f"{run}/")
    golden.close(np.tanh(rows["reward"]), rows["pre_reward"])
    golden.close(agent.config.discount * ~rows["is_terminal"], rows["pre_discount"])
    assert agent.config.view.reward == "tanh"


@pytest.mark.parametrize("run", ["A", "B"])
def test_the_states_of_a_batch_are_the_official_ones(agent, run):
    wanted, _, found = filtered(agent, run)
    latents = wanted["post_stoch"].shape
    shaped = {
        "embed": found["embedding"],
        "deter": found["deter"],
        "prior_logit": found["prior"].unflatten(-1, latents[2:]),
        "post_logit": found["posterior"].unflatten(-1, latents[2:]),
        "post_stoch": found["stoch"].unflatten(-1, latents[2:]),
        "feat": found["feature"],
        "kl_value": found["kl"],
        "prior_entropy": agent.latent.entropy(found["prior"]),
        "post_entropy": agent.latent.entropy(found["posterior"]),
        "image_mean": found["mean"].unflatten(0, latents[:2]),
        "reward_mean": found["reward"],
        "discount_logit": found["logit"],
        "discount_prob": found["logit"].sigmoid(),
        "last_logit": found["posterior"][:, -1].unflatten(-1, latents[2:]),
        "last_stoch": found["stoch"][:, -1].unflatten(-1, latents[2:]),
        "last_deter": found["deter"][:, -1],
        "metric_model_kl": found["kl"].mean(),
        "metric_prior_ent": agent.latent.entropy(found["prior"]).mean(),
        "metric_post_ent": agent.latent.entropy(found["posterior"]).mean(),
    }
    present = {name: tensor for name, tensor in shaped.items() if name in wanted}
    assert set(shaped) - set(present) <= {"image_mean", "embed"}
    golden.all_close(present, {name: wanted[name] for name in present})


@pytest.mark.parametrize("run", ["A", "B"])
def test_every_loss_of_every_row_is_the_official_one(agent, run):
    wanted, losses, _ = filtered(agent, run)
    found = {
        "kl_loss": losses["dynamics"],
        "loss_kl": losses["dynamics"],
        "loss_image": losses["image"].mean(),
        "loss_reward": losses["reward"].mean(),
        "loss_discount": losses["continue"].mean(),
        "reward_logprob": -losses["reward"],
        "discount_logprob": -losses["continue"],
        "model_loss": agent.model_loss(losses),
    }
    golden.all_close(found, {name: wanted[name] for name in found})
    golden.close(-losses["image"], wanted["image_logprob"], 1e-6, "image_logprob")


def test_the_gradients_of_the_world_model_are_the_official_ones(agent):
    wanted = golden.load(v2.NAME, "wm_grads_A.npz")
    numbers, losses, _ = filtered(agent, "A")
    found = v2.gradients(agent, agent.model_loss(losses), wanted)
    golden.gradients_close(found, wanted)
    golden.close(v2.norm(found), numbers["grad_global_norm"], golden.GRADIENTS)


@pytest.mark.parametrize("terms", ["kl_only", "reward_discount_only"])
def test_the_gradients_of_small_terms_are_the_official_ones(agent, terms):
    wanted = golden.sub(golden.load(v2.NAME, "wm_grads_A_components.npz"), f"{terms}/")
    _, losses, _ = filtered(agent, "A")
    kept = {"kl_only": ["dynamics"], "reward_discount_only": ["reward", "continue"]}[terms]
    loss = agent.model_loss({name: losses[name] for name in kept})
    golden.close(loss, wanted.pop("loss"))
    grads = golden.sub(wanted, "grad/")
    golden.gradients_close(v2.gradients(agent, loss, grads), grads)
    every = [name for name in golden.load(v2.NAME, "params.npz") if name.split("/")[0] in v2.MODEL]
    absent = v2.gradients(agent, loss, [name for name in every if name not in grads])
    assert not any(gradient.any() for gradient in absent.values())


def test_every_setting_of_the_divergence_is_the_official_one():
    arrays = golden.load(v2.NAME, "kl_variants.npz")
    logits = v2.tensors(arrays, "post_logit", "prior_logit")
    shape = logits[0].shape[-2:]
    latent = categorical.Categorical(*shape)
    for about in golden.config(v2.NAME, "kl_variants.json"):
        wanted = golden.sub(arrays, f"{about['index']:02d}/")
        rows = [each.flatten(-2).requires_grad_() for each in logits]
        loss, value = recurrent.balanced(
            latent.kl, *rows, about["balance"], about["free"], about["forward"], about["free_avg"]
        )
        golden.close(loss, wanted["loss"], name=str(about))
        golden.close(value, wanted["value"], name=str(about))
        grads = torch.autograd.grad(loss, rows, allow_unused=True)
        for name, grad in zip(("grad_post", "grad_prior"), grads, strict=True):
            grad = torch.zeros(wanted[name].shape) if grad is None else grad.unflatten(-1, shape)
            golden.close(grad, wanted[name], golden.GRADIENTS, f"{name} of {about}")


def test_an_open_loop_of_the_prior_is_the_official_one(agent):
    wanted = golden.load(v2.NAME, "open_loop.npz")
    state, (action, noise) = v2.state(wanted, "init_"), v2.tensors(wanted, "action", "stoch_sample")
    rows = []
    with torch.no_grad():
        for row in range(action.shape[1]):
            state = agent.rssm.imagine(state, action[:, row], noise[:, row])
            rows.append(state)
        stacked = {name: torch.stack([each[name] for each in rows], 1) for name in state}
        feature = agent.rssm.feature(stacked)
        golden.close(stacked["prior"].unflatten(-1, noise.shape[-2:]), wanted["prior_logit"])
        golden.close(stacked["deter"], wanted["prior_deter"])
        golden.close(feature, wanted["feat"])
        golden.close(agent.rewards(feature), wanted["reward_mean"])
        golden.close(agent.decode(state) - 0.5, wanted["image_mean_last"])


def played(agent):
    """Returns the official numbers of imagined play, our losses and all that lies between."""
    wanted = golden.load(v2.NAME, "imagine.npz")
    terminal, action, latent = v2.tensors(
        wanted, "start_is_terminal", "action_sample", "stoch_sample"
    )
    noise = dreamerv2.Noise(NONE, action, latent)
    return wanted, *agent.behaviour_losses(v2.state(wanted, "start_"), terminal, noise)


def test_imagined_play_and_its_returns_are_the_official_ones(agent):
    wanted, _, _, found = played(agent)
    shape = wanted["start_stoch"].shape[1:]
    deter = found["feature"][..., -agent.config.deter :]
    with torch.no_grad():
        last = agent.actor(found["feature"][-1])
        prior = agent.rssm.prior(deter[1:]).unflatten(-1, shape)
        heads = agent.discounts(found["feature"])
    action = torch.cat([torch.zeros_like(found["action"][:1]), found["action"]])
    numbers = {
        "seq_action": action,
        "seq_deter": deter,
        "seq_feat": found["feature"],
        "actor_logits": torch.cat([found["logits"], last[None]]),
        "reward_raw": found["reward"],
        "reward": found["reward"],
        "discount": found["discount"],
        "weight": found["weight"],
        "discount_head_prob": heads,
        "target_critic_value": found["slow_value"],
        "target": found["target"],
        "critic_mean": found["value"],
        "critic_logprob": -gaussian.nll(found["target"], found["value"]),
    }
    golden.all_close(numbers, {name: wanted[name] for name in numbers})
    golden.close(prior, wanted["seq_logit"][1:])


def test_what_actor_and_critic_minimise_is_the_official_loss(agent):
    wanted, actor, critic, found = played(agent)
    numbers = {
        "actor_logp": actor.log_prob,
        "actor_entropy": actor.entropy,
        "actor_baseline": found["slow_value"][: len(actor.advantage)],
        "actor_advantage": actor.advantage,
        "actor_loss": actor.loss,
        "critic_loss": critic,
        "metric_actor_ent": actor.entropy.mean(),
        "metric_critic": found["value"].mean(),
        "metric_critic_slow": found["slow_value"].mean(),
        "metric_critic_target": found["target"].mean(),
        "metric_reward_mean": found["reward"].mean(),
        "metric_reward_std": found["reward"].std(correction=0),
        "metric_reward_normed_mean": found["reward"].mean(),
    }
    golden.all_close(numbers, {name: wanted[name] for name in numbers})


@pytest.mark.parametrize("part", ["actor", "critic"])
def test_the_gradients_of_actor_and_critic_are_the_official_ones(agent, part):
    grads = golden.load(v2.NAME, f"{part}_grads.npz")
    wanted, actor, critic, _ = played(agent)
    found = v2.gradients(agent, {"actor": actor.loss, "critic": critic}[part], grads)
    golden.gradients_close(found, grads)
    golden.close(v2.norm(found), wanted[f"{part}_grad_norm"], golden.GRADIENTS)


@pytest.mark.parametrize("gradient", ["dynamics", "both"])
def test_the_actor_follows_the_dynamics_as_the_official_one(gradient):
    wanted = golden.sub(golden.load(v2.NAME, "actor_grads_variants.npz"), f"{gradient}/")
    agent = v2.built(actor_gradient=gradient)
    _, actor, _, _ = played(agent)
    golden.close(actor.loss, wanted["actor_loss"])
    grads = golden.sub(wanted, "grad/")
    found = v2.gradients(agent, actor.loss, grads)
    golden.gradients_close(found, grads)
    golden.close(v2.norm(found), wanted["actor_grad_norm"], golden.GRADIENTS)


METRICS = {
    "kl_loss": "loss/dynamics",
    "image_loss": "loss/image",
    "reward_loss": "loss/reward",
    "discount_loss": "loss/continue",
    "model_kl": "train/divergence",
    "prior_ent": "train/prior_entropy",
    "post_ent": "train/posterior_entropy",
    "model_loss": "loss/model",
    "model_grad_norm": "train/grad_norm",
    "actor_loss": "loss/policy",
    "actor_grad_norm": "train/actor_grad_norm",
    "critic_loss": "loss/value",
    "critic_grad_norm": "train/value_grad_norm",
    "reward_mean": "train/imagined_reward",
    "reward_std": "train/imagined_reward_std",
    "reward_normed_mean": "train/imagined_reward",
    "reward_normed_std": "train/imagined_reward_std",
    "critic_slow": "train/slow_value",
    "critic_target": "train/imagined_return",
    "actor_ent": "train/entropy",
    "critic": "train/value",
}


def test_three_updates_end_to_end_are_the_official_ones(monkeypatch):
    arrays, before = golden.load(v2.NAME, "train_e2e.npz"), golden.load(v2.NAME, "params.npz")
    agent, seen = v2.built(slow_every=2), []
    losses = agent.model_losses
    monkeypatch.setattr(agent, "model_losses", lambda *a: seen.append(losses(*a)) or seen[-1])
    state = agent.initial(len(v2.batch("A")["reward"]))
    for call, run in enumerate("ABA"):
        wanted = golden.sub(arrays, f"{call}/")
        names = ("post_stoch_sample", "imag_action_sample", "imag_stoch_sample")
        state = agent.update(v2.batch(run), state, dreamerv2.Noise(*v2.tensors(wanted, *names)))
        metrics = agent.metrics()
        official = golden.sub(wanted, "metric/")
        assert official.pop("actor_ent_scale") == np.float32(agent.config.entropy_scale)
        for name, array in official.items():
            golden.close(metrics[METRICS[name]], array, 1e-4 if "norm" in name else 1e-5, name)
        shape = wanted["state/stoch"].shape[1:]
        golden.close(state["deter"], wanted["state/deter"])
        golden.close(state["stoch"].unflatten(-1, shape), wanted["state/stoch"])
        golden.close(seen[-1][1]["posterior"][:, -1].unflatten(-1, shape), wanted["state/logit"])
        moved = {
            name: np.linalg.norm(golden.numpy(tensor) - golden.numpy(before[name]))
            for name, tensor in v2.weights(agent, before).items()
        }
        for name, array in golden.sub(wanted, "delta_norm/").items():
            golden.close(moved[name], array, 1e-3, name)
    check_weights(agent, golden.load(v2.NAME, "train_e2e_params_after_3.npz"))


def check_weights(agent, wanted):
    found = {}
    for name in wanted:
        base, _, stride = name.partition("/flat_every_")
        tensor = v2.weights(agent, [base])[base]
        step = int(re.match(r"\d+", stride)[0]) if stride else 0
        found[name] = tensor.reshape(-1)[::step] if step else tensor
    golden.within(found, wanted, 1e-6)
