"""Our Dreamer v3 with the official program's sizes, tensors and layouts.

Official layouts: dense kernels [in, out]; block-diagonal ones [blocks, in / blocks, out / blocks];
convolutions [kh, kw, in, out]; one `scale` a norm. Sequences are (B, T), as ours are; imagined play
is (N, L) where ours is (L, N).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import agents
from tests.agents import toys
from tests.parity import golden

AGENT = "dreamerv3"
HEADS = {
    "rew": ("reward", "head/logits"),
    "con": ("proceed", "head/logit"),
    "pol": ("actor", "head/action/logits"),
    "val": ("critic", "head/logits"),
    "slowval": ("slow", "head/logits"),
}
LEARNT = ("enc", "dyn", "dec", "rew", "con", "pol", "val")
LOSSES = {
    "image": "image", "rew": "reward", "con": "continue", "dyn": "dynamics",
    "rep": "representation", "policy": "policy", "value": "value", "repval": "replay_value",
}  # fmt: skip
FLAGS = ("reward", "is_first", "is_last", "is_terminal")

Of = Callable[[Tensor], Tensor]


def tensor(array: Any) -> Tensor:
    """Returns an array as a tensor."""
    return torch.from_numpy(np.asarray(array))


def count(names: Iterable[str], stem: str) -> int:
    """Returns how many layers "<stem>0", "<stem>1", ... there are."""
    names = set(names)
    return next(n for n in range(99) if f"{stem}{n}/bias" not in names)


def sizes() -> dict[str, Any]:
    """Returns our settings of every size, read from tensors and batches."""
    params, batch = golden.load(AGENT, "params.npz"), golden.load(AGENT, "batch.npz")
    rows, length = batch["obs/reward"].shape
    latents, classes = batch["raw/dyn/stoch"].shape[2:]
    return {
        "deter": len(params["dyn/dynhid0/bias"]),
        "hidden": len(params["dyn/dynin0/bias"]),
        "groups": len(params["dyn/dynhid0/kernel"]),
        "latents": latents,
        "classes": classes,
        "depth": len(params["enc/cnn0/bias"]) // 2,
        "units": len(params["pol/mlp/linear0/bias"]),
        "head_layers": count(params, "rew/mlp/linear"),
        "actor_layers": count(params, "pol/mlp/linear"),
        "critic_layers": count(params, "val/mlp/linear"),
        "horizon": golden.load(AGENT, "imagine.npz")["ret"].shape[1],
        "training.batch": rows,
        "training.length": length,
        "training.context": batch["raw/reward"].shape[1] - length,
    }


def loaded(**changes: Any) -> Any:
    """Returns an agent with the official settings, sizes, weights and scale of returns."""
    params, dream = golden.load(AGENT, "params.npz"), golden.load(AGENT, "imagine.npz")
    config = agents.configure(AGENT, "none", ["float32"], sizes() | changes)
    shape = golden.load(AGENT, "batch.npz")["raw/image"].shape[2:]
    actions = len(params["pol/head/action/logits/bias"])
    agent = toys.built(AGENT, config, shape, actions, seed=0)
    put(modules(dict(agent.networks)), params)
    agent.frozen.refresh()
    agent.scale.low.fill_(float(dream["retnorm_lo_before"]))
    agent.scale.high.fill_(float(dream["retnorm_hi_before"]))
    return agent


def modules(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Returns layers and norms by their official names."""
    encoder, model, decoder = (networks[name] for name in ("encoder", "model", "decoder"))
    found: dict[str, nn.Module] = {}
    for i, (conv, norm) in enumerate(zip(encoder.convs, encoder.norms, strict=True)):
        found |= {f"enc/cnn{i}": conv, f"enc/cnn{i}norm": norm}
    first, out = model.posterior
    blocks = {"dynin0": model.from_deter, "dynin1": model.from_stoch, "dynin2": model.from_action}
    blocks |= {"obs0": first, "prior0": model.prior[0], "prior1": model.prior[1]}
    for name, block in blocks.items():
        found |= {f"dyn/{name}": block.linear, f"dyn/{name}norm": block.norm}
    found |= {"dyn/dynhid0": model.inner, "dyn/dynhid0norm": model.inner_norm}
    found |= {"dyn/dyngru": model.gates, "dyn/obslogit": out, "dyn/priorlogit": model.prior[2]}
    found |= {"dec/sp0": decoder.deter, "dec/sp1": decoder.stoch[0].linear}
    found |= {"dec/sp1norm": decoder.stoch[0].norm, "dec/sp2": decoder.stoch[1]}
    names = ["spnorm", *(f"conv{i}norm" for i in reversed(range(len(decoder.norms) - 1)))]
    found |= {f"dec/{name}": norm for name, norm in zip(names, decoder.norms, strict=True)}
    names = [*(name.removesuffix("norm") for name in names[1:]), "imgout"]
    found |= {f"dec/{name}": conv for name, conv in zip(names, decoder.convs, strict=True)}
    for head in [head for head in HEADS if HEADS[head][0] in networks]:
        mine, last = HEADS[head]
        for i, block in enumerate(networks[mine].blocks):
            found[f"{head}/mlp/linear{i}"] = block.linear
            found[f"{head}/mlp/norm{i}"] = block.norm
        found[f"{head}/{last}"] = networks[mine].out
    return found


def layout(found: Mapping[str, nn.Module], of: Of) -> dict[str, Tensor]:
    """Returns official tensors by name, made of what `of` answers to our parameters."""
    tensors = {}
    for name, layer in found.items():
        if hasattr(layer, "gain"):
            tensors[f"{name}/scale"] = of(layer.gain)
            continue
        weight = of(layer.weight)
        turned = {2: (1, 0), 3: (0, 1, 2), 4: (2, 3, 1, 0)}[weight.dim()]
        tensors[f"{name}/kernel"] = weight.permute(turned)
        tensors[f"{name}/bias"] = of(layer.bias)
    return tensors


@torch.no_grad()
def put(found: Mapping[str, nn.Module], arrays: golden.Arrays) -> None:
    """Fills layers from official tensors: every name is used, every number of ours is set once."""
    params = [param for layer in found.values() for param in layer.parameters()]
    for param in params:
        param.fill_(torch.nan)
    places = layout(found, lambda param: param)
    assert set(places) == set(arrays), sorted(set(places) ^ set(arrays))
    assert len({id(param) for param in params}) == len(params) == len(arrays)
    for name, place in places.items():
        assert tuple(place.shape) == arrays[name].shape, name
        place.copy_(tensor(arrays[name]))
    assert not any(param.isnan().any() for param in params)


def weights(agent: Any) -> dict[str, Tensor]:
    """Returns copies of the weights in official layout."""
    return layout(modules(dict(agent.networks)), lambda param: param.detach().clone())


def gradients(agent: Any, loss: Tensor, *parts: str) -> dict[str, Tensor]:
    """Returns gradients in official layout, zeros where there is no path.

    Args:
        agent: whose weights count.
        loss: a scalar; its graph is kept.
        parts: modules, such as "enc"; all that learn, if none is given.
    """
    found = modules(dict(agent.networks))
    found = {k: each for k, each in found.items() if k.partition("/")[0] in (parts or LEARNT)}
    params = [param for layer in found.values() for param in layer.parameters()]
    grads = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
    both = zip(params, grads, strict=True)
    by = {id(param): param.new_zeros(param.shape) if g is None else g for param, g in both}
    return layout(found, lambda param: by[id(param)])


def norm(gradients: Mapping[str, Tensor]) -> float:
    """Returns the norm of all gradients together."""
    return float(torch.stack([each.double().norm() for each in gradients.values()]).norm())


def served() -> dict[str, np.ndarray]:
    """Returns the official batch as our replay serves it."""
    batch = golden.load(AGENT, "batch.npz")
    rows = {name: batch[f"raw/{name}"] for name in ("image", "action", *FLAGS)}
    context = batch["raw/reward"].shape[1] - batch["obs/reward"].shape[1]
    stored = {name: batch[f"raw/dyn/{name}"][:, :context] for name in ("deter", "stoch")}
    kept = {"deter": stored["deter"], "stoch": stored["stoch"].argmax(-1).astype(np.uint8)}
    return rows | kept


def data() -> dict[str, Tensor]:
    """Returns the official batch as `train` sees it."""
    return {name: tensor(array) for name, array in served().items()}


def forced(index: np.ndarray) -> Callable[[Tensor, int], Tensor]:
    """Returns what "draws" the classes or actions of a step from an array (B, T, ...)."""
    return lambda _probs, step: tensor(index)[:, step].long()


def posterior() -> Callable[[Tensor, int], Tensor]:
    """Returns what draws the latents that the official program drew."""
    return forced(golden.load(AGENT, "observe.npz")["stoch_index"])


def dreamt() -> tuple[Callable[[Tensor, int], Tensor], Callable[[Tensor, int], Tensor]]:
    """Returns what draws the actions and latents that the official program imagined."""
    dream = golden.load(AGENT, "imagine.npz")
    return forced(dream["action"]), forced(dream["stoch_index"])
