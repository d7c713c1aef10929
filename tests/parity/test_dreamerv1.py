"""Dreamer v1 beside the official program, from its settings, weights, batches and noise.

Source of the numbers: danijar/dreamer@56d4d44 with TensorFlow 2.2; tests/parity/golden/README.md.
"""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from agents.parts import categorical, epsilon, gaussian, returns
from tests.parity import golden
from tests.parity import official_v1 as official

AGENT = official.AGENT
MODEL = ("encoder", "rssm", "decoder", "reward", "pcont")
LATENT = ("mean", "std", "stoch", "deter")


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def observed(agent, batch, file):
    """Returns loss, states and metrics of a batch with the noise of a file."""
    rows = official.rows(agent, batch)
    return rows, *agent.model_loss(rows, official.spread(file["eps_post"], len(rows.image)))


@pytest.mark.parametrize(("name", "batch"), [("observe_A", "A"), ("observe_B_free50", "B")])
def test_filtering_and_the_losses_of_the_model_are_the_official_ones(name, batch):
    file = golden.load(AGENT, f"{name}.npz")
    nats = {"free_nats": float(file["free_nats_used"])} if "free_nats_used" in file else {}
    agent = official.loaded(**nats)
    rows, loss, state, metrics = observed(agent, batch, file)
    shape = rows.reward.shape
    prior = agent.rssm.prior(state["deter"])
    posterior = gaussian.Normal(state["mean"], state["std"])
    seen = gaussian.features(state)
    image = agent.decoder(seen.flatten(0, 1)).unflatten(0, shape)
    reward, logit = agent.reward(seen)[..., 0], agent.proceed(seen)[..., 0]
    target = agent.config.discount * rows.alive
    drawn = gaussian.sample(prior, official.spread(file["eps_prior"], shape[0]).transpose(0, 1))
    pixels = rows.image.float() / 255 - 0.5
    found = {
        "embed": agent.encode(rows.image.flatten(0, 1)).unflatten(0, shape),
        "feat": seen,
        "kl_per_step": gaussian.divergence(posterior, prior),
        "div_before_free_nats": metrics["train/divergence"],
        "div": metrics["loss/dynamics"],
        "image_logprob": -gaussian.nll(pixels, image).sum((-3, -2, -1)),
        "reward_mean": reward,
        "reward_logprob": -gaussian.nll(rows.reward, reward),
        "pcont_logit": logit,
        "pcont_prob": logit.sigmoid(),
        "pcont_logprob": -F.binary_cross_entropy_with_logits(logit, target, reduction="none"),
        "loss_image": metrics["loss/image"],
        "loss_reward": metrics["loss/reward"],
        "loss_pcont_scaled": agent.config.continue_scale * metrics["loss/continue"],
        "model_loss": loss,
        "prior_entropy": gaussian.entropy(prior),
        "post_entropy": gaussian.entropy(posterior),
    }
    before = {**prior._asdict(), "stoch": drawn, "deter": state["deter"]}
    found |= {f"prior_{key}": before[key] for key in LATENT}
    found |= {f"post_{key}": state[key] for key in LATENT}
    given = {"eps_prior", "eps_post", "free_nats_used"}
    for key in [key for key in file if key.startswith("image_mean_t")]:
        found[key] = image[:, [int(step) for step in re.findall(r"_t(\d+)", key)]]
    if "grad_global_norm" in file:
        grads = official.gradients(agent, loss, *MODEL)
        norms = torch.stack([grad.norm() for grad in grads.values()])
        golden.close(norms.norm(), file["grad_global_norm"], golden.GRADIENTS, "grad_global_norm")
        given.add("grad_global_norm")
    golden.all_close(found, {key: file[key] for key in file if key not in given})


def test_the_gradients_of_the_model_are_the_official_ones():
    agent = official.loaded()
    _, loss, _, _ = observed(agent, "A", golden.load(AGENT, "observe_A.npz"))
    found = official.gradients(agent, loss, *MODEL)
    golden.gradients_close(found, golden.load(AGENT, "wm_grads_A.npz"))


@pytest.mark.parametrize("part", ["kl_only", "reward_pcont_only"])
def test_the_gradients_of_single_terms_are_the_official_ones(part):
    agent = official.loaded()
    file = golden.sub(golden.load(AGENT, "wm_grads_A_components.npz"), f"{part}/")
    _, _, _, metrics = observed(agent, "A", golden.load(AGENT, "observe_A.npz"))
    c = agent.config
    loss = c.kl_scale * metrics["loss/dynamics"]
    if part == "reward_pcont_only":
        loss = metrics["loss/reward"] + c.continue_scale * metrics["loss/continue"]
    golden.close(loss, file.pop("loss"), name="loss")
    found = official.gradients(agent, loss, *MODEL)
    wanted = golden.sub(file, "grad/")
    absent = {name for name in found if name not in wanted}
    assert all(not found.pop(name).any() for name in absent)
    golden.gradients_close(found, wanted)


def test_the_states_that_imagination_starts_from_are_all_but_the_last_of_each_sequence():
    agent, file = official.loaded(), golden.load(AGENT, "imagine.npz")
    _, _, state, _ = observed(agent, "A", golden.load(AGENT, "observe_A.npz"))
    golden.all_close(agent.starts(state), golden.sub(file, "start_"))


def imagined(agent, file):
    start = {key: tensor(array) for key, array in golden.sub(file, "start_").items()}
    index = file["action_index"]
    noise = official.spread(file["eps"], index.shape[1])
    return agent.play(start, noise, official.forced(index, agent.actions))


def test_imagined_play_and_what_is_made_of_it_are_the_official_ones():
    agent, file = official.loaded(), golden.load(AGENT, "imagine.npz")
    play = imagined(agent, file)
    seen = play.feature[1:]
    reward, follow = agent.outlook(seen)
    value = agent.value(seen)[..., 0]
    target = returns.lambda_return(reward[:-1], follow[:-1], value, agent.config.lam)
    value_loss, actor_loss, _ = agent.behaviour_losses(play, torch.zeros(()))
    found = {
        "action": play.action,
        "actor_logits": agent.actor(play.feature[:-1]),
        "feat": seen,
        "reward": reward,
        "pcont": follow,
        "value": value,
        "returns": target,
        "discount_weight": returns.weights(follow[:-1]),
        "value_logprob": -gaussian.nll(target, value[:-1]),
        "actor_loss": actor_loss,
        "value_loss": value_loss,
    }
    stoch, deter = seen.split([agent.config.stoch, agent.config.deter], -1)
    found |= {**agent.rssm.prior(deter)._asdict(), "stoch": stoch, "deter": deter}
    given = ("start_", "action_index", "eps", "actor_grad_norm", "value_grad_norm")
    golden.all_close(found, {key: file[key] for key in file if not key.startswith(given)})


@pytest.mark.parametrize("name", ["actor", "value"])
def test_the_gradients_of_behaviour_are_the_official_ones(name):
    agent, file = official.loaded(), golden.load(AGENT, "imagine.npz")
    value_loss, actor_loss, _ = agent.behaviour_losses(imagined(agent, file), torch.zeros(()))
    loss = {"value": value_loss, "actor": actor_loss}[name]
    found = official.gradients(agent, loss, f"{name}/")
    golden.gradients_close(found, golden.load(AGENT, f"{name}_grads.npz"))
    norm = torch.stack([grad.norm() for grad in found.values()]).norm()
    golden.close(norm, file[f"{name}_grad_norm"], golden.GRADIENTS, "norm")


def test_a_prior_that_is_rolled_out_is_the_official_one():
    agent, file = official.loaded(), golden.load(AGENT, "open_loop.npz")
    state = {key: tensor(array) for key, array in golden.sub(file, "init_").items()}
    states = []
    for step, eps in enumerate(file["eps"]):
        state = agent.rssm.imagine(state, tensor(file["action"][:, step]), tensor(eps)[None])
        states.append(state)
    found = {key: torch.stack([each[key] for each in states], 1) for key in LATENT}
    golden.all_close(found, golden.sub(file, "prior_"))
    golden.close(agent.outlook(gaussian.features(found))[0], file["reward_mean"])


class Script(np.random.Generator):
    """A generator that answers with given numbers, in the one order in which they are asked for."""

    def __init__(self, *answers):
        super().__init__(np.random.PCG64(0))
        self.answers = list(answers)

    def answer(self, kind, shape):
        wanted, array = self.answers.pop(0)
        assert kind == wanted
        return np.asarray(array).reshape(shape)

    def standard_normal(self, shape, dtype):
        return self.answer("normal", shape).astype(dtype)

    def random(self, shape):
        return self.answer("uniform", shape).astype(np.float64)

    def integers(self, high, size):
        return self.answer("integer", size)


def draws_of(call):
    """Returns what one call of the policy is to draw."""
    answers = [("normal", call["eps_post"])]
    if "actor_index" in call:
        below = np.exp(torch.log_softmax(tensor(call["actor_logits"]), -1).numpy())[0].cumsum()
        index = int(call["actor_index"][0])
        answers.append(("uniform", [0.5 * (below[index] + (below[index - 1] if index else 0))]))
    if "uniform" in call:
        answers += [("integer", call["random_index"]), ("uniform", call["uniform"])]
    return Script(*answers)


@pytest.mark.parametrize("run", ["train", "train_always_random", "eval", "eval_noise"])
def test_acting_draws_and_explores_as_the_official_policy(run):
    file = golden.load(AGENT, "policy.npz")
    count = len({name.split("/")[1] for name in file if name.startswith("obs/")})
    mode = "train" if run.startswith("train") else "greedy"
    noise = float(file[f"{run}/0/expl_amount"])
    agent = official.loaded(epsilon_evaluation=0.0 if mode == "train" else noise)
    carry = agent.init(1)
    for step in range(count):
        obs, call = (golden.sub(file, f"{each}/{step}/") for each in ("obs", run))
        agent.exploration = lambda call=call: float(call["expl_amount"])
        rng = draws_of(call)
        row = {"image": obs["image"], "is_first": obs["reset"]}
        carry, action, kept = agent.policy(carry, row, mode, rng)
        assert rng.answers == [] and kept == {}
        wanted = golden.sub(call, "post_")
        golden.all_close({key: carry["state"][key] for key in wanted}, wanted)
        state = {key: tensor(array) for key, array in carry["state"].items()}
        golden.close(agent.policy_logits(state), call["actor_logits"])
        assert action.tolist() == call["action"].argmax(-1).tolist()
        assert carry["action"].tolist() == action.tolist(), "what is done, not what was meant"


def test_the_schedule_of_the_policy_runs_halves_by_its_span():
    calls = golden.sub(golden.load(AGENT, "policy.npz"), "train/")
    steps = [
        int(calls[f"{i}/step_counter_before"]) for i in range(len(calls)) if f"{i}/action" in calls
    ]
    wanted = [float(calls[f"{i}/expl_amount"]) for i in range(len(steps))]
    span = (steps[1] - steps[0]) / np.log2(wanted[0] / wanted[1])
    found = [epsilon.scheduled("halving", wanted[0], 0.0, span, step) for step in steps]
    golden.close(found, wanted)


def test_rewards_are_squashed_as_the_view_does_it():
    for given in (golden.sub(golden.load(AGENT, "batch.npz"), f"{name}/") for name in "AB"):
        squash = {"tanh": np.tanh, "none": np.asarray}[golden.config(AGENT)["clip_rewards"]]
        golden.close(squash(given["reward"]), given["pre_reward"])


METRICS = {
    "model_grad_norm": "train/grad_norm",
    "value_grad_norm": "train/value_grad_norm",
    "actor_grad_norm": "train/actor_grad_norm",
    "prior_ent": "train/prior_entropy",
    "post_ent": "train/posterior_entropy",
    "image_loss": "loss/image",
    "reward_loss": "loss/reward",
    "pcont_loss": "loss/continue",
    "div": "loss/dynamics",
    "model_loss": "loss/model",
    "value_loss": "loss/value",
    "actor_loss": "loss/policy",
}


def test_whole_updates_leave_the_official_metrics_and_weights():
    file = golden.load(AGENT, "train_e2e.npz")
    agent, start = official.loaded(), golden.load(AGENT, "params.npz")
    for step in range(len({name.partition("/")[0] for name in file})):
        given = golden.sub(file, f"{step}/")
        rows = official.rows(agent, "AB"[step % 2])
        index, count = given["imag_action_index"], len(rows.image)
        seen = official.spread(given["eps_post"], count)
        with torch.no_grad():
            feature = gaussian.features(agent.model_loss(rows, seen)[1])
        ahead = official.spread(given["imag_eps"], index.shape[1])
        taken, bonus = official.forced(index, agent.actions), torch.zeros(())
        ours = agent.learn(rows, seen, ahead, taken, bonus)
        found = {name: ours[key] for name, key in METRICS.items()}
        found["pcont_loss"] *= agent.config.continue_scale
        # Of the states before the update, and the policy after it.
        found["action_ent"] = categorical.entropy(agent.actor(feature)).mean()
        golden.all_close(found, golden.sub(given, "metric/"))
        moved = official.tensors(agent)
        norms = {name: (each - tensor(start[name])).norm() for name, each in moved.items()}
        golden.all_close(norms, golden.sub(given, "delta_norm/"), 1e-3)
    wanted = golden.load(AGENT, "train_e2e_params_after_3.npz")
    for name in [name for name in wanted if "/flat_every_" in name]:
        whole, every = re.fullmatch(r"(.+)/flat_every_(\d+)th", name).groups()
        moved[name] = moved.pop(whole).reshape(-1)[:: int(every)]
    golden.within(moved, wanted, 1e-6)
