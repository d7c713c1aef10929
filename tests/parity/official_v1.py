"""Our Dreamer v1 with the official program's settings, tensors and layouts.

Official layouts: dense kernels [in, out]; convolutions [kh, kw, in, out], transposed ones
[kh, kw, out, in]; the GRU's gates in the order z, r, h, its two biases in one tensor.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import agents
from agents.parts import categorical
from tests.agents import toys
from tests.parity import golden

AGENT = "dreamerv1"

Of = Callable[[Tensor], Tensor]


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns our settings for the official ones."""
    halving = {"epsilon_schedule": "halving", "epsilon_span": given["expl_decay"]}
    return {
        "depth": given["cnn_depth"],
        "stoch": given["stoch_size"],
        "deter": given["deter_size"],
        "hidden": given["deter_size"],
        "units": given["num_units"],
        "kl_scale": given["kl_scale"],
        "free_nats": given["free_nats"],
        "continue_head": given["pcont"],
        "continue_scale": given["pcont_scale"],
        "horizon": given["horizon"],
        "discount": given["discount"],
        "lam": given["disclam"],
        "model_rate": given["model_lr"],
        "value_rate": given["value_lr"],
        "actor_rate": given["actor_lr"],
        "clip": given["grad_clip"],
        "view.reward": given["clip_rewards"],
        "training.batch": given["batch_size"],
        "training.length": given["batch_length"],
        "epsilon": given["expl_amount"],
        "epsilon_least": given["expl_min"],
        "epsilon_evaluation": given["eval_noise"],
    } | (halving if given["expl_decay"] else {"epsilon_schedule": "constant"})


def build(shape: tuple[int, int, int], actions: int, **changes: Any) -> Any:
    """Returns an agent with the settings of the small fixtures, and weights of its own."""
    sets = settings(golden.config(AGENT)) | changes
    config = agents.configure(AGENT, "none", ["official_noise", "float32"], sets)
    return toys.built(AGENT, config, shape, actions, seed=0)


def loaded(**changes: Any) -> Any:
    """Returns an agent with the official settings and weights."""
    image = golden.load(AGENT, "batch.npz")["A/image"]
    arrays = golden.load(AGENT, "params.npz")
    agent = build(image.shape[2:], len(arrays["actor/hout/bias"]), **changes)
    load(agent, arrays)
    return agent


def modules(agent: Any) -> dict[str, nn.Module]:
    """Returns the layers by their official names."""
    found = {f"encoder/h{i + 1}": conv for i, conv in enumerate(agent.encoder.convs)}
    found["decoder/h1"] = agent.decoder.linear
    found |= {f"decoder/h{i + 2}": conv for i, conv in enumerate(agent.decoder.convs)}
    rssm = agent.rssm
    found |= {"rssm/img1": rssm.join, "rssm/gru": rssm.cell}
    found |= {"rssm/img2": rssm.expect.hidden[0], "rssm/img3": rssm.expect.out}
    found |= {"rssm/obs1": rssm.correct.hidden[0], "rssm/obs2": rssm.correct.out}
    heads = {"reward": "reward", "pcont": "proceed", "value": "value", "actor": "actor"}
    for name, ours in heads.items():
        head = getattr(agent, ours)
        found |= {f"{name}/h{i}": layer for i, layer in enumerate(head.hidden)}
        found[f"{name}/hout"] = head.out
    return found


def layout(found: Mapping[str, nn.Module], of: Of) -> dict[str, Tensor]:
    """Returns official tensors by name, made of what `of` answers to our parameters."""
    tensors = {}
    for name, layer in found.items():
        if hasattr(layer, "recurrent"):
            kernels = {"kernel": layer.input.weight, "recurrent_kernel": layer.recurrent.weight}
            biases = [of(layer.input.bias), of(layer.recurrent.bias)]
            tensors |= {f"{name}/{key}": gates(of(value).T) for key, value in kernels.items()}
            tensors[f"{name}/bias"] = gates(torch.stack(biases))
            continue
        weight = of(layer.weight)
        tensors[f"{name}/kernel"] = weight.T if weight.dim() == 2 else weight.permute(2, 3, 1, 0)
        tensors[f"{name}/bias"] = of(layer.bias)
    return tensors


def gates(tensor: Tensor) -> Tensor:
    """Exchanges the first two gates of the last axis: theirs are z, r, h and ours r, z, n."""
    r, z, n = tensor.chunk(3, -1)
    return torch.cat([z, r, n], -1)


def tensors(agent: Any) -> dict[str, Tensor]:
    """Returns the weights in official layout."""
    return layout(modules(agent), lambda param: param.detach().clone())


def gradients(agent: Any, loss: Tensor, *names: str, retain: bool = False) -> dict[str, Tensor]:
    """Returns gradients in official layout, of the tensors whose names begin with one of some."""
    found = {key: each for key, each in modules(agent).items() if key.startswith(names)}
    params = [param for layer in found.values() for param in layer.parameters()]
    grads = torch.autograd.grad(loss, params, retain_graph=retain, allow_unused=True)
    by = {
        id(p): torch.zeros_like(p) if g is None else g for p, g in zip(params, grads, strict=True)
    }
    return layout(found, lambda param: by[id(param)])


def load(agent: Any, arrays: golden.Arrays) -> None:
    """Fills an agent's weights from official tensors."""
    put(modules(agent), arrays)


@torch.no_grad()
def put(found: Mapping[str, nn.Module], arrays: golden.Arrays) -> None:
    """Fills layers from official tensors, by the place that each of our numbers has there."""
    params = [param for layer in found.values() for param in layer.parameters()]
    starts = np.cumsum([0, *[param.numel() for param in params]])
    flat, index = torch.full((int(starts[-1]),), torch.nan), {}
    for param, start in zip(params, starts, strict=False):
        index[id(param)] = torch.arange(param.numel()).view(param.shape) + int(start)
    places = layout(found, lambda param: index[id(param)])
    assert set(places) == set(arrays), sorted(set(places) ^ set(arrays))
    for name, place in places.items():
        assert tuple(place.shape) == arrays[name].shape, name
        flat[place] = torch.from_numpy(arrays[name])
    assert not flat.isnan().any()
    for param, start in zip(params, starts, strict=False):
        param.copy_(flat[int(start) : int(start) + param.numel()].view(param.shape))


def rows(agent: Any, name: str) -> Any:
    """Returns batch A or B as `train` makes it of what replay serves."""
    given = golden.sub(golden.load(AGENT, "batch.npz"), f"{name}/")
    none = given["action"].sum(-1) == 0
    first = np.zeros(none.shape, bool)
    first[:, 0] = True
    found = {
        "image": given["image"],
        "previous_action": np.where(none, -1, given["action"].argmax(-1)),
        "reward": given["pre_reward"],  # as our view has it
        "is_terminal": given["discount"] == 0,
        "is_first": first,
    }
    return agent.rows({name: torch.from_numpy(array) for name, array in found.items()})


def spread(noise: np.ndarray, count: int) -> Tensor:
    """Gives noise (T, S) to all N elements, as the official program does."""
    return torch.from_numpy(noise)[:, None].expand(-1, count, -1)


def forced(index: np.ndarray, actions: int) -> Tensor:
    """Returns the one-hot actions that are to be taken."""
    return categorical.one_hot(torch.from_numpy(index), actions)
