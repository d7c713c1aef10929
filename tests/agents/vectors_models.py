"""Vectors of latents, divergences, cells, layers, initial values and parameter counts."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

import agents
from agents import dreamerv3
from agents.parts import (
    block_rssm,
    blocks,
    categorical,
    gaussian,
    keras_gru,
    norms,
    pooled,
    recurrent,
    strided,
    unimix,
)
from tests.agents import toys
from tests.agents.vectors import fill, near, put, tensor


def kl_categorical(v):
    post, prior = tensor(v["post_logits"]), tensor(v["prior_logits"])
    latent = categorical.Categorical(*post.shape[1:])
    one, other = post.flatten(1), prior.flatten(1)
    near(latent.kl(one, other), v["kl_per_step"])
    near(latent.kl(one, other).mean(), v["kl_mean"])
    loss, _ = recurrent.balanced(latent.kl, one, other, 0.8, 0.0, False, True)
    near(0.1 * loss, v["v2_scaled_loss"])
    kl = unimix.divergence(unimix.mixed(post), unimix.mixed(prior))
    near(kl, v["kl_per_step_unimix"])
    dyn = kl.clamp(min=1.0).mean()
    near(dyn, v["v3_dyn"])
    near(1.0 * dyn + 0.1 * dyn, v["v3_total"])
    near(0.5 * dyn + 0.1 * dyn, v["v3_2023_total"])
    near(gaussian.free(kl, 1.0, per_step=False), v["free_nats_after_mean_would_be"])


def kl_gradients(v):
    post, prior = (tensor(v[name])[None].requires_grad_() for name in ("post", "prior"))
    latent = categorical.Categorical(1, 3)
    of_post, of_prior = torch.autograd.grad(latent.kl(post, prior).sum(), [post, prior])
    near(of_post[0], v["grad_post"])
    near(of_prior[0], v["grad_prior"])
    loss, _ = recurrent.balanced(latent.kl, post, prior, 0.8, 0.0, False, True)
    of_post, of_prior = torch.autograd.grad(loss, [post, prior])
    near(of_post[0] / 0.2, v["grad_post"])
    near(of_prior[0] / 0.8, v["grad_prior"])


def kl_gaussian_v1(v):
    post = gaussian.Normal(tensor(v["post_mean"]), tensor(v["post_std"]))
    prior = gaussian.Normal(tensor(v["prior_mean"]), tensor(v["prior_std"]))
    kl = gaussian.divergence(post, prior)
    near(kl, v["kl"])
    near(gaussian.free(kl, 3.0, per_step=False), v["tf2_free_nats"])
    near(gaussian.free(kl, 3.0, per_step=True), v["tf1_free_nats"])


def v1_std(v):
    raw = tensor(v["raw"])
    near(gaussian.normal(torch.cat([torch.zeros(3), raw]), 0.1).std, v["std"])


def unimix_(v):
    logits = tensor(v["logits"])[None]
    probs = unimix.mixed(logits)
    near(probs[0], v["probs"])
    near(probs[0].log(), v["mixed_logits"])
    near(unimix.entropy(probs), v["entropy"])
    near(categorical.entropy(logits)[0], v["entropy_unmixed"])


def straight_through(v):
    upstream = tensor(v["upstream"])
    for index in range(4):
        logits = tensor(v["logits"]).requires_grad_()
        taken = categorical.one_hot(torch.tensor(index), 4)
        plain = categorical.straight_through(logits, taken)
        probs = unimix.mixed(logits[None])
        mixed = unimix.straight_through(probs, torch.tensor([index]), torch.float32)
        for found, wanted in ((plain, "grad_no_unimix"), (mixed, "grad_unimix")):
            near(found, taken.tolist())
            near(torch.autograd.grad((found * upstream).sum(), logits)[0], v[wanted])


def norms_(v):
    x = tensor(v["x"])
    near(norms.rms(x, torch.ones(4)), v["rms"])
    near(F.layer_norm(x, (4,), eps=recurrent.NORM_EPS), v["layer"])


def gru_v1_keras(v):
    def turned(numbers):  # Keras' gates are z, r, h; ours r, z, n.
        z, r, h = numbers.chunk(3, -1)
        return torch.cat([r, z, h], -1)

    cell, x, h = keras_gru.Cell(3, 4), tensor(v["x"])[None], tensor(v["h"])[None]
    put(cell.input.weight, turned(fill((3, 12), 1)).T)
    put(cell.recurrent.weight, turned(fill((4, 12), 2)).T)
    put(cell.input.bias, turned(fill((12,), 3)))
    put(cell.recurrent.bias, turned(fill((12,), 4)))
    r, z, _ = (cell.input(x) + cell.recurrent(h)).sigmoid()[0].chunk(3)
    near(r, v["r"])
    near(z, v["z"])
    near(cell(x, h)[0], v["out"])


def gru_v2_layernorm(v):
    cell = recurrent.NormGRU(3, 4)
    put(cell.linear.weight, fill((7, 12), 1).T)
    put(cell.linear.bias, fill((12,), 2))
    near(cell(tensor(v["x"])[None], tensor(v["h"])[None])[0], v["out"])


def gru_v3_block(v):
    model = block_rssm.BlockRSSM(block_rssm.Sizes(4, 3, 2, 2, 2), actions=2, embedding=1)
    layers = (model.from_deter, model.from_stoch, model.from_action)
    inputs = [tensor(v[name])[None] for name in ("h", "stoch", "action")]
    for shift, (layer, given) in enumerate(zip(layers, inputs, strict=True), 1):
        put(layer.linear.weight, fill((given.shape[1], 3), shift).T)
        put(layer.linear.bias, fill((3,), shift + 0.5))
        near(layer(given)[0], v[f"x{shift - 1}"])
    width = v["block_input_width"]
    put(model.inner.weight, fill((2, width, 2), 4))
    put(model.inner.bias, fill((4,), 4.5))
    put(model.gates.weight, fill((2, 2, 6), 5))
    put(model.gates.bias, fill((12,), 5.5))
    hidden = []
    model.gates.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    near(model.step(*inputs)[0], v["out"])
    near(hidden[0][0], v["hidden"])


def conv_shapes(v):
    encoder, edges = strided.Encoder(3, 1, F.relu), []
    x = torch.zeros(1, 3, 64, 64)
    for conv in encoder.convs:
        x = conv(x)
        edges.append(x.shape[-1])
    assert edges == v["encoder_64"]
    decoder, edges = strided.Decoder(5, 1, 3, F.relu), []
    x = torch.zeros(1, 32, 1, 1)
    for conv in decoder.convs:
        x = conv(x)
        edges.append(x.shape[-1])
    assert edges == v["decoder"]
    for size in (64, 96):
        edges, encoder = [], pooled.Encoder((size, size, 3), 1)
        x = torch.zeros(1, size, size, 3)
        for conv, norm in zip(encoder.convs, encoder.norms, strict=True):
            x = norms.pool_norm_silu(conv(x), norm.gain)
            edges.append(x.shape[1])
        assert edges == v[f"v3_{size}"]


def decoder_space_rearrange(v):
    wanted = tensor(v["out"])
    height, width, channels = wanted.shape
    decoder = pooled.Decoder(4, 4, (16 * height, 16 * width, 3), channels // 4, 2, groups=2)
    for parameter in decoder.parameters():
        put(parameter, torch.zeros_like(parameter))
    put(decoder.deter.bias, torch.arange(wanted.numel()).float())
    decoder.norms[0] = nn.Identity()
    near(decoder.small(torch.zeros(1, 4), torch.zeros(1, 4))[0], wanted)


def init(v):
    near(blocks.TRUNCATED * v["unit_trunc_std"], v["effective"])
    fan = v["example_size12m_dynhid_fan_in"]
    torch.manual_seed(0)
    weight = blocks.GroupLinear(fan, 2048, 8).weight.detach()
    # Two million numbers: the standard error is 0.05 %.
    near(weight.std(), v["example_std"], rtol=3e-3)
    assert weight.std() < 0.5 * v["if_per_block_fan"]
    assert weight.abs().max() <= 2 * blocks.TRUNCATED / fan**0.5


def count(part):
    return sum(parameter.numel() for parameter in part.parameters())


def params_v3(v):
    names = {"enc": "encoder", "dyn": "model", "dec": "decoder", "rew": "reward"}
    names |= {"con": "proceed", "pol": "actor", "val": "critic"}

    def counted(size, shape, actions):
        block = [] if size not in agents.blocks("dreamerv3") else [size]
        config = agents.configure("dreamerv3", "none", block)
        with torch.device("meta"):  # Shapes without memory: the largest would take gigabytes.
            parts = dreamerv3.Agent.build(
                SimpleNamespace(config=config, shape=shape, actions=actions)
            )
        found = {short: count(parts[name]) for short, name in names.items()}
        return found | {"total": sum(found.values())}

    for size, wanted in v["atari100k_6actions"].items():
        assert counted(size, (64, 64, 3), 6) == wanted, size
    for size, total in v["atari100k_18actions_total"].items():
        assert counted(size, (64, 64, 3), 18)["total"] == total, size
    for size, wanted in v["atari57_96x96x1_18actions"].items():
        assert counted(size, (96, 96, 1), 18) == wanted, size


def counts(name, channels, actions):
    config = agents.configure(name, "none", [])
    parts = toys.built(name, config, (64, 64, channels), actions, 0).parts
    return {key: count(part) for key, part in parts.items() if isinstance(part, nn.Module)}


def params_v2(v):
    for actions in (6, 18):
        wanted, found = dict(v[f"actions_{actions}"]), counts("dreamerv2", 1, actions)
        assert found.pop("slow") == found["critic"]
        model = ("encoder", "rssm", "decoder", "reward", "discount")
        assert sum(found[name] for name in model) == wanted.pop("world_model")
        assert sum(found.values()) == wanted.pop("total_without_target")
        named = {"enc": "encoder", "dec": "decoder"}
        assert {named.get(name, name): number for name, number in wanted.items()} == found


def params_v1(v):
    for actions in (6, 18):
        wanted, found = dict(v[f"actions_{actions}"]), counts("dreamerv1", 3, actions)
        assert sum(found.values()) == wanted.pop("total")
        named = {"enc": "encoder", "dec": "decoder", "pcont": "proceed"}
        assert {named.get(name, name): number for name, number in wanted.items()} == found
