"""Vectors of losses, optimisers, schedules and slow copies."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

import agents
from agents import dreamerv3
from agents.parts import (
    behaviour,
    block_dream,
    categorical,
    epsilon,
    gaussian,
    laprop,
    norms,
    percentiles,
    returns,
    twohot,
    twohot_behaviour,
)
from agents.parts.keras_adam import KerasAdam
from tests.agents.vectors import near, tensor

FREE = 1e9  # A clip that nothing reaches.


def laprop_of(param, lr=0.1, warmup=0, clip=FREE):
    return laprop.LaProp([param], lr, warmup, clip, (0.9, 0.999), 1e-20)


def path(optimiser, param, grads):
    """Returns a parameter after each of some gradients."""
    found = []
    for grad in grads:
        optimiser.step([torch.full_like(param, grad)])
        found.append(param.detach().clone().item())
    return found


def one():
    return nn.Parameter(torch.ones(1))


def laprop_(v):
    for warmup, wanted in ((0, "params"), (4, "params_warmup_4")):
        param = one()
        near(path(laprop_of(param, v["lr"], warmup), param, v["grads"]), v[wanted])


def laprop_scale_invariance(v, others):
    grads, param = [1e-6 * grad for grad in others["laprop"]["grads"]], one()
    near(path(laprop_of(param), param, grads), v["params"])


def agc(v):
    for given, grad, wanted in (
        (v["param"], v["grad_big"], v["out_big"]),
        (v["param"], v["grad_small"], v["out_small"]),
        ([[0.0, 0.0], [0.0, 0.0]], v["zero_param_grad"], v["out_zero_param"]),
    ):
        optimiser = laprop_of(nn.Parameter(tensor(given)), clip=0.3)
        optimiser.step([tensor(grad)])
        near(optimiser.gradient.view(2, 2), wanted)


def warmup_v3(v):
    optimiser = laprop_of(one(), 4e-5, 1000)
    for update, wanted in v["rows"]:
        optimiser.steps.fill_(update + 1)  # `rate_now` is of the newest update.
        near(optimiser.rate_now(), wanted, atol=1e-12)


def adam_variants(v):
    def walked(decay):
        param = one()
        return path(KerasAdam([param], 1e-3, 1e-5, None, decay), param, v["grads"])

    # The steps are as small as 1e-6 of a parameter of 1: float32 ends there.
    near(walked(0.0), v["keras"], atol=2e-7, rtol=0)
    near(walked(1e-6), v["keras_with_v2_decay"], atol=2e-7, rtol=0)
    param = one()
    adam, found = torch.optim.Adam([param], 1e-3, eps=1e-5), []
    for grad in v["grads"]:
        param.grad = torch.full_like(param, grad)
        adam.step()
        found.append(param.item())
    near(found, v["torch"], atol=2e-7, rtol=0)


def global_norm_clip(v):
    wanted = [tensor(each) for each in v["out"]]
    grads = [2 * each for each in wanted]  # The norm is twice what is allowed.
    optimiser = KerasAdam([nn.Parameter(torch.zeros_like(g)) for g in grads], 1e-3, 1e-7, 6.5, 0.0)
    near(optimiser.step(grads), v["norm"])
    near(optimiser.gradient, torch.cat(wanted).tolist())


class Table(nn.Module):
    """Answers a feature, which is a number of a state, with a row."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, feature):
        return self.rows[feature[..., 0].long()]


def actor_loss_v3(v):
    bins, config = tensor([-10.0, 0.0, 10.0]), agents.configure("dreamerv3", "none", [])
    value, reward = (
        Table(twohot.encode(tensor(v[name]), bins).clamp(min=1e-30).log())
        for name in ("value", "reward")
    )
    nets = {"critic": value, "slow": value, "reward": reward}
    nets["proceed"] = Table(tensor(v["con"]).logit()[:, None])
    scale = percentiles.Percentiles(1e-9, 2.0)  # Fixed: the percentiles stay below the limit.
    learner = twohot_behaviour.Behaviour(config, nets, nets, scale, bins)
    states = torch.arange(len(v["value"])).float()[:, None, None]
    logits, action = tensor(v["logits"])[:, None], torch.tensor(v["actions"])[:, None]
    losses, metrics, judged = learner.losses(block_dream.Dream(states, logits, action))
    near(judged.target[:, 0], v["returns"])
    near(judged.weight[:, 0], v["weight"])
    near(metrics["train/advantage"], torch.tensor(v["adv"]).double().mean())
    logp = logits[:, 0].log_softmax(-1)
    near(logp.gather(-1, action)[:, 0], v["logpi"])
    near(categorical.entropy(logits)[:, 0], v["entropy"])
    near(losses["policy"].mean(), v["loss"])


def older(v):
    """Returns targets and weights of the vector of DreamerV2."""
    reward, value, discount = (
        tensor(v[name])[:, None] for name in ("reward", "slow_value", "discount")
    )
    return value, behaviour.target(reward, discount, value, 0.95), returns.weights(discount)


def actor_loss_v2(v, others):
    value, target, weight = older(v)
    near(target[:, 0], v["targets"])
    near(weight[:, 0], v["weights"])
    given = others["actor_loss_v3"]
    logits = tensor(given["logits"])[:, None]
    action = categorical.one_hot(torch.tensor([0, 1, 0])[:, None], 2)
    found = behaviour.actor_objective(
        logits, action, target, value[:-1], weight[:-1], "reinforce", 0.0, 1e-3, ahead=True
    )
    near(found.advantage[:, 0], v["adv"])
    near(found.loss, v["loss"])


def critic_loss_v2(v, others):
    _, target, weight = older(others["actor_loss_v2"])
    value = tensor(v["value"])[:, None]
    near(behaviour.critic_loss(value, target, weight[:-1]), v["loss"])


def continue_loss_v3(v):
    discount, logit = 1 - 1 / 333, tensor(5.0)
    for name, alive in (("alive", 1.0), ("terminal", 0.0)):
        target = tensor(discount * alive)
        near(F.binary_cross_entropy_with_logits(logit, target), v[name])


def image_loss(v):
    found, wanted = tensor([0.2, 0.5, 0.9]), tensor([0.25, 0.5, 0.7])
    near(gaussian.nll(wanted, found).sum(), v["v1_v2"])
    # The same differences from whole bytes, at each of 2 x 2 pixels.
    image = torch.tensor([64, 128, 179], dtype=torch.uint8).expand(1, 2, 2, 3).contiguous()
    logits = norms.gather((image / 255 + found - wanted).logit())
    near(norms.image_error(logits, image) / 4, [v["v3"]])


def slow_critic(v):
    slow, fast = nn.Linear(1, 1), nn.Linear(1, 1)
    for layer, number in ((slow, 1.0), (fast, 2.0)):
        nn.init.constant_(layer.weight, number)
    agent = SimpleNamespace(
        networks={"slow": slow, "critic": fast}, config=SimpleNamespace(slow_rate=0.02)
    )
    for update in range(1, 51):
        dreamerv3.Agent.follow(agent)
        if f"after_{update}" in v:
            near(slow.weight.item(), v[f"after_{update}"])


def epsilon_v1(v):
    config = agents.configure("dreamerv1", "none", [])
    for updates, wanted in v["rows"]:
        found = epsilon.scheduled(
            config.epsilon_schedule, config.epsilon, config.epsilon_least, config.epsilon_span,
            updates,
        )  # fmt: skip
        near(found, wanted)
