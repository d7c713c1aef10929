"""A small DreamerV2 of ours that holds the official program's weights, and its batches.

Shapes: B sequences, T rows, A actions, V variables of C classes.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import agents
from tests.agents import toys
from tests.parity import golden

NAME = "dreamerv2"
LAYERS = {
    "img_in": "inward",
    "gru/dense": "gru.linear",
    "gru/norm": "gru.norm",
    "img_out_0": "prior_hidden",
    "img_dist_0": "prior_out",
    "obs_out": "posterior_hidden",
    "obs_dist": "posterior_out",
    "convin": "linear",
}
LEAVES = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
PARTS = {"target_critic": "slow"}
MODEL = ("encoder", "rssm", "decoder", "reward", "discount")


def settings() -> dict[str, Any]:
    """Returns what the official settings are called with us; nothing, if there is no such file."""
    try:
        c = golden.config(NAME)
    except pytest.skip.Exception:
        return {}
    return {
        "kl_scale": c["loss_scales"]["kl"],
        "kl_balance": c["kl"]["balance"],
        "kl_free": c["kl"]["free"],
        "kl_forward": c["kl"]["forward"],
        "kl_free_of_mean": c["kl"]["free_avg"],
        "reward_scale": c["loss_scales"]["reward"],
        "discount_scale": c["loss_scales"]["discount"],
        "discount": c["discount"],
        "lam": c["discount_lambda"],
        "actor_mix": c["actor_grad_mix"],
        "entropy_scale": c["actor_ent"],
        "slow_every": c["slow_target_update"],
        "slow_fraction": c["slow_target_fraction"],
        "model_rate": c["model_opt"]["lr"],
        "actor_rate": c["actor_opt"]["lr"],
        "critic_rate": c["critic_opt"]["lr"],
        "adam_eps": c["model_opt"]["eps"],
        "clip": c["model_opt"]["clip"],
        "decay": c["model_opt"]["wd"],
    }


def built(**changes: Any) -> Any:
    """Returns our agent with the official weights; every size is read from the files."""
    params = golden.load(NAME, "params.npz")
    groups = golden.load(NAME, "observe_A.npz")["post_stoch"].shape[2:]
    batch = golden.load(NAME, "batch.npz")
    sizes = {
        "stoch": groups[0],
        "classes": groups[1],
        "deter": len(params["rssm/gru/norm/beta"]) // 3,
        "hidden": len(params["rssm/img_in/bias"]),
        "depth": len(params["encoder/conv0/bias"]),
        "layers": sum(f"actor/dense{n}/bias" in params for n in range(99)),
        "units": len(params["actor/dense0/bias"]),
        "horizon": len(golden.load(NAME, "imagine.npz")["action_sample"]),
        "precision": "float32",
    }
    config = agents.configure(NAME, "none", [], settings() | sizes | changes)
    shape, actions = batch["A/image"].shape[2:], batch["A/action"].shape[-1]
    agent = toys.built(NAME, config, shape, actions, 0)
    put(agent, params)
    return agent


def ours(agent: Any, name: str) -> nn.Parameter:
    """Returns our tensor of an official name such as "rssm/gru/dense/kernel"."""
    part, *middle, leaf = name.split("/")
    layer = LAYERS.get("/".join(middle), middle[0])
    for stem, group in (("conv", "convs."), ("dense", "hidden.")):
        if layer.removeprefix(stem).isdigit():
            layer = group + layer.removeprefix(stem)
    return agent.parts[PARTS.get(part, part)].get_parameter(f"{layer}.{LEAVES[leaf]}")


def official(tensor: Tensor) -> Tensor:
    """Returns a tensor in the official order of its axes."""
    return (
        tensor.permute(2, 3, 1, 0)
        if tensor.dim() == 4
        else tensor.T
        if tensor.dim() == 2
        else tensor
    )


def put(agent: Any, params: golden.Arrays) -> None:
    """Sets an agent's weights."""
    with torch.no_grad():
        for name, array in params.items():
            official(ours(agent, name)).copy_(torch.from_numpy(array))


def weights(agent: Any, names: Any) -> dict[str, Tensor]:
    """Returns copies of an agent's weights by official name and order."""
    return {name: official(ours(agent, name)).detach().clone() for name in names}


def gradients(agent: Any, loss: Tensor, names: Any) -> dict[str, Tensor]:
    """Returns gradients by official name and order; zeros where there is no path."""
    params = [ours(agent, name) for name in names]
    found = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
    both = zip(names, params, found, strict=True)
    return {n: official(p.new_zeros(p.shape) if g is None else g) for n, p, g in both}


def norm(gradients: dict[str, Tensor]) -> Tensor:
    """Returns the norm of all gradients together."""
    return torch.stack([each.double().norm() for each in gradients.values()]).norm()


def index(one_hot: np.ndarray) -> np.ndarray:
    """Returns the classes of one-hot numbers; -1 where there is none."""
    return np.where(one_hot.any(-1), one_hot.argmax(-1), -1)


def batch(name: str) -> dict[str, Tensor]:
    """Returns an official batch as our replay hands it out."""
    rows = golden.sub(golden.load(NAME, "batch.npz"), f"{name}/")
    wanted = ("image", "is_first", "is_last", "is_terminal")
    found = {key: rows[key] for key in wanted}
    found |= {"reward": rows["pre_reward"], "previous_action": index(rows["action"])}
    return {key: torch.from_numpy(array) for key, array in found.items()}


def tensors(arrays: golden.Arrays, *names: str) -> list[Tensor]:
    """Returns arrays as tensors."""
    return [torch.from_numpy(arrays[name]) for name in names]


def state(arrays: golden.Arrays, prefix: str) -> dict[str, Tensor]:
    """Returns a state of ours: the latent is one row."""
    stoch, deter = tensors(arrays, f"{prefix}stoch", f"{prefix}deter")
    return {"deter": deter, "stoch": stoch.flatten(-2)}
