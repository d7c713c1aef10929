"""Dreamer v3's parts one by one beside the official program's.

Source of the numbers: danijar/dreamerv3@e3f0224 with JAX 0.4.33; tests/parity/golden/README.md.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from agents.parts import (
    block_rssm,
    laprop,
    native,
    norms,
    percentiles,
    pooled,
    returns,
    twohot,
    unimix,
)
from agents.parts.categorical import choose
from tests.parity import golden
from tests.parity import official_v3 as official
from tests.parity.official_v3 import AGENT, tensor


def units(piece):
    return golden.sub(golden.load(AGENT, "units.npz"), f"{piece}/")


# Small pieces


def test_scaling_by_percentiles_follows_the_official_numbers():
    file = golden.load(AGENT, "normalize.npz")
    rate, limit = float(file["rate"]), float(file["limit"])
    ours, whole = percentiles.Percentiles(rate, limit), percentiles.Percentiles(1.0, limit)
    for step, given in enumerate(file["returns"]):
        scale, _ = ours.update(tensor(given)), whole.update(tensor(given))
        found = {"perc5": whole.low, "perc95": whole.high, "lo": ours.low, "hi": ours.high}
        found |= {"offset": ours.low, "scale": scale}
        golden.all_close(found, {name: file[name][step] for name in found})


def twohot_():
    given, bins = units("twohot"), twohot.bins()
    near = bins.abs() > 0
    golden.close(bins[near] / tensor(given["bins"])[near], torch.ones(int(near.sum())))
    assert (bins[~near] == 0).all() and torch.equal(bins, -bins.flip(0))
    target, logits = tensor(given["target"]), tensor(given["logits"])
    golden.close(twohot.cross_entropy(logits, bins, target), given["loss"])
    golden.close(twohot.plain_cross_entropy(logits, target, bins), given["loss"])
    # The official one is a difference of two numbers: it is not exact itself.
    golden.close(twohot.encode(target, bins), given["encoded_target"], 3e-5)
    golden.close(twohot.mean(tensor(given["pred_logits"]), bins), given["pred"])
    flat = twohot.mean(torch.full((1, len(bins)), 0.3), bins)
    assert flat.tolist() == given["pred_of_uniform_logits"].tolist() == [0.0]


def symlog():
    given = units("symlog")
    golden.close(twohot.symlog(tensor(given["x"])), given["symlog"])
    golden.close(twohot.symexp(tensor(given["symlog"])), given["symexp_of_symlog"])
    golden.close(twohot.symexp(tensor(given["symexp_x"])), given["symexp"])


def lambda_return():
    given = {name: tensor(array) for name, array in units("lambda_return").items()}
    agent = official.loaded(lam=float(given["lam"]))
    golden.close(1 - 1 / agent.config.discount_horizon, given["disc"])
    rows = {"reward": given["rew"], "is_last": given["last"], "is_terminal": given["term"]}
    found = agent.behaviour.replay_targets(rows, given["boot"].flatten())
    golden.close(found, given["ret"])
    lam = given["lam"] * (~given["last"][:, 1:]).float()
    follow = given["disc"] * (~given["term"][:, 1:]).float()
    plain = returns.lambda_return(given["rew"][:, 1:].t(), follow.t(), given["boot"].t(), lam.t())
    golden.close(plain.t(), given["ret"])


def onehot():
    given = units("onehot")
    p, q = (tensor(given[f"logits_{name}"]).requires_grad_() for name in "pq")
    one, other = unimix.mixed(p), unimix.mixed(q)
    golden.close(one.log(), given["mixed_logprobs_p"])
    golden.close(unimix.entropy(one), given["entropy_p"])
    divergence = unimix.divergence(one, other)
    golden.close(divergence, given["kl_p_q"])
    grads = torch.autograd.grad(divergence.sum(), (p, q), retain_graph=True)
    for name, grad in zip("pq", grads, strict=True):
        golden.close(grad, given[f"kl_grad_{name}"], golden.GRADIENTS)
    drawn = choose(one.detach(), torch.rand(one.shape[:-1]))
    stoch = unimix.straight_through(one, drawn, torch.float32)
    (grad,) = torch.autograd.grad((stoch * tensor(given["st_weight"]).flatten(1)).sum(), p)
    golden.close(grad, given["st_grad"], golden.GRADIENTS)


def categorical():
    given = units("categorical")
    logp = tensor(given["logits"]).log_softmax(-1)
    golden.close(logp.gather(-1, tensor(given["event"]).long()[:, None])[:, 0], given["logp"])
    golden.close(-(logp.exp() * logp).sum(-1), given["entropy"])


def binary():
    given = units("binary")
    logit, target = tensor(given["logit"]), tensor(given["target"])
    found = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    golden.close(found, given["loss"])
    golden.close(logit.sigmoid(), given["prob1"])


def rmsnorm():
    given = units("rmsnorm")
    x, gain = tensor(given["x"]), tensor(given["scale"])
    golden.close(norms.rms(x, gain), given["y"])
    golden.close(norms.norm_silu(x, gain), F.silu(tensor(given["y"])))


PIECES = {
    piece.__name__.rstrip("_"): piece
    for piece in (twohot_, symlog, lambda_return, onehot, categorical, binary, rmsnorm)
}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", PIECES)
def test_a_small_piece_is_the_official_one(name, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(native, "kernels", lambda: None)
    assert {key.partition("/")[0] for key in golden.load(AGENT, "units.npz")} == set(PIECES)
    PIECES[name]()


# Optimiser


def optimised(file, kind):
    """Returns an optimiser with official settings, and its tensors by name."""
    held = {k: nn.Parameter(tensor(array)) for k, array in golden.sub(file, "init/").items()}
    rate, warmup = float(file[f"{kind}/lr"]), int(file[f"{kind}/warmup"])
    betas = float(file["beta1"]), float(file["beta2"])
    settings = float(file["agc"]), betas, float(file["eps"])
    return laprop.LaProp(held.values(), rate, warmup, *settings), held


def steps(file):
    """Returns official gradients, update by update."""
    numbers = sorted({int(key.partition("/")[0]) for key in golden.sub(file, "grad/")})
    return {number: golden.sub(file, f"grad/{number}/") for number in numbers}


@pytest.mark.parametrize("kind", ["official", "fast"])
def test_the_optimiser_steps_as_the_official_one(kind):
    file = golden.load(AGENT, "optimizer.npz")
    golden.close(laprop.FLOOR, file["agc_pmin"])
    opt, held = optimised(file, kind)
    rate, fine = float(file[f"{kind}/lr"]), dict.fromkeys(held, True)
    for number, grads in steps(file).items():
        before = {name: golden.numpy(param).copy() for name, param in held.items()}
        norm = opt.step([tensor(grads[name]) for name in held])
        golden.close(norm, official.norm({name: tensor(each) for name, each in grads.items()}))
        for name, param in held.items():
            # A gradient whose square float32 cannot hold is stepped along differently everywhere.
            fine[name] = fine[name] & ((grads[name] == 0) | (np.abs(grads[name]) > 1e-15))
            after, wanted = golden.numpy(param), file[f"{kind}/param/{number}/{name}"]
            allowed = 1e-4 * rate + 2e-7 * np.abs(wanted)
            moved = after - before[name] - file[f"{kind}/update/{number}/{name}"]
            assert (np.abs(after - wanted) <= allowed)[fine[name]].all(), (number, name)
            assert (np.abs(moved) <= allowed)[fine[name]].all(), (number, name)
            assert number > 1 or np.array_equal(after, before[name]), name
    assert sum(np.mean(each) for each in fine.values()) > 0.9 * len(fine)
    for ours, theirs in (("second", "nu"), ("momentum", "mu")):
        found = dict(zip(held, opt.views(opt.state_dict()[ours]), strict=True))
        wanted = golden.sub(file, f"{kind}/{theirs}_after_{number}/")
        for name in found:
            golden.close(found[name] * tensor(fine[name]), wanted[name] * fine[name], 1e-4, name)


@pytest.mark.parametrize("kind", ["official", "fast"])
def test_the_learning_rate_climbs_as_the_official_one(kind):
    file = golden.load(AGENT, "optimizer.npz")
    opt, _ = optimised(file, kind)
    numbers, rates = (file[f"{kind}/{name}"] for name in ("lr_at_update_number", "lr_value"))
    for number, rate in zip(numbers, rates, strict=True):
        opt.steps.fill_(int(number))
        golden.close(opt.rate_now(), rate, 1e-4)
    assert rates[0] == 0 < rates[-1]


def test_gradients_are_clipped_by_the_size_of_their_parameter():
    file, clipped, start = golden.load(AGENT, "optimizer.npz"), [], "init/"
    for number, grads in steps(file).items():
        opt, held = optimised(file, "fast")
        for name, array in golden.sub(file, start).items():
            held[name].data.copy_(tensor(array))
        start, wanted = f"fast/param/{number}/", golden.sub(file, f"fast/agc_grad/{number}/")
        opt.step([tensor(grads[name]) for name in held])
        # The second moment tells how large the gradient was that it counted in.
        second = opt.state_dict()["second"].double() / (1 - float(file["beta2"]))
        for name, found in zip(held, opt.views(second.sqrt()), strict=True):
            golden.close(found, np.abs(wanted[name]), name=f"{number}/{name}")
            clipped.append(np.abs(wanted[name] - grads[name]).max() > 0)
    assert any(clipped) and not all(clipped)


def test_the_slow_critic_follows_as_the_official_one():
    file = golden.load(AGENT, "optimizer.npz")
    agent = official.loaded(slow_rate=float(file["slow/rate"]))
    found = official.modules(dict(agent.networks))
    numbers = {key.partition("/")[0] for key in golden.sub(file, "slow/after_")}
    put(found, "slowval", golden.sub(file, "slow/init/"))
    put(found, "val", golden.sub(file, "slow/source_val/"))
    for number in sorted(numbers, key=int):
        agent.follow()
        wanted = golden.sub(file, f"slow/after_{number}/")
        golden.all_close({name: place(found, f"slowval/{name}") for name in wanted}, wanted)


def place(found, name):
    """Returns the view of ours that an official name means."""
    stem = name.rpartition("/")[0]
    return official.layout({stem: found[stem]}, lambda param: param.detach())[name]


def put(found, part, arrays):
    for name, array in arrays.items():
        place(found, f"{part}/{name}").copy_(tensor(array))


# Layers


class Walk:
    """Goes through layers one by one, in plain operations, and notes what comes out."""

    def __init__(self, agent):
        self.layers, self.found = official.modules(dict(agent.networks)), {}

    def noted(self, name, x):
        self.found[name] = x[0]
        return x

    def linear(self, name, x):
        return self.noted(name, self.layers[name](x))

    def normed(self, name, x):
        return F.silu(self.noted(name, norms.rms(x, self.layers[name].gain)))

    def block(self, name, x, norm=""):
        return self.normed(norm or f"{name}norm", self.linear(name, x))

    def head(self, name, x, last, layers):
        for i in range(layers):
            x = self.block(f"{name}/mlp/linear{i}", x, f"{name}/mlp/norm{i}")
        return self.linear(f"{name}/{last}", x)

    def encoder(self, x):
        for i in range(4):
            x = self.linear(f"enc/cnn{i}", x)
            x = F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            x = self.normed(f"enc/cnn{i}norm", x)
        return x.flatten(1)

    def core(self, deter, stoch, action, groups):
        inputs = [self.block(f"dyn/dynin{i}", x) for i, x in enumerate((deter, stoch, action))]
        shared = torch.cat(inputs, -1)[:, None].expand(-1, groups, -1)
        both = torch.cat([deter.unflatten(-1, (groups, -1)), shared], -1)
        gates = self.linear("dyn/dyngru", self.block("dyn/dynhid0", both.flatten(1)))
        return block_rssm.gate(gates.unflatten(-1, (groups, 3, -1)), deter)

    def decoder(self, deter, stoch, groups, edges):
        mine = self.linear("dec/sp0", deter).unflatten(-1, (groups, *edges, -1))
        mine = mine.permute(0, 2, 3, 1, 4).flatten(-2)
        other = self.layers["dec/sp2"](self.block("dec/sp1", stoch)).view(mine.shape)
        x = self.normed("dec/spnorm", mine + self.noted("dec/sp2", other))
        for name in ("conv2", "conv1", "conv0", "imgout"):
            layer = self.layers[f"dec/{name}"]
            up = pooled.plain_upsample(x, layer.weight, layer.bias)
            golden.close(norms.spread(layer.doubled(x)), up, name=name)
            self.noted(f"dec/{name}", up)
            x = up if name == "imgout" else self.normed(f"dec/{name}norm", up)
        return x


def walked(agent):
    """Returns what every layer makes of the first trained row."""
    walk, batch, c = Walk(agent), official.data(), agent.config
    observed = golden.load(AGENT, "observe.npz")
    row = c.training.context
    tokens = walk.encoder(norms.centred(batch["image"][:1, row].contiguous(), torch.float32))
    golden.close(tokens, agent.encode(batch["image"][:1, row]))
    before = unimix.one_hot(batch["stoch"][:1, -1], c.classes, torch.float32)
    action = F.one_hot(batch["action"][:1, row - 1].long(), agent.actions).float()
    start = batch["deter"][:1, -1], before, action
    assert not batch["is_first"][0, row]
    deter = walk.core(*start, c.groups)
    golden.close(deter, agent.networks["model"].step(*start))
    golden.close(deter, observed["deter"][:1, 0])
    walk.linear("dyn/obslogit", walk.block("dyn/obs0", torch.cat([deter, tokens], -1)))
    walk.linear("dyn/priorlogit", walk.block("dyn/prior1", walk.block("dyn/prior0", deter)))
    deter, stoch = tensor(observed["deter"][:1, 0]), tensor(observed["stoch"][:1, 0]).flatten(1)
    image = walk.decoder(deter, stoch, c.groups, agent.networks["decoder"].edges)
    golden.close(norms.spread(agent.networks["decoder"](deter, stoch)), image)
    feature = torch.cat([deter, stoch], -1)
    counts = {"rew": c.head_layers, "con": c.head_layers, "pol": c.actor_layers}
    for name, (ours, last) in official.HEADS.items():
        if name in official.LEARNT:
            found = walk.head(name, feature, last, counts.get(name, c.critic_layers))
            golden.close(found, agent.networks[ours](feature))
    return walk.found


def test_every_layer_puts_out_the_official_numbers():
    file = golden.load(AGENT, "layers.npz")
    found = walked(official.loaded())
    for name in [name for name in file if "@" in name]:
        whole, _, part = name.partition("@")
        if part == "mean_abs":
            found[name] = found[whole].abs().mean()
        else:
            (top, bottom), (left, right) = (
                map(int, each.split(":")) for each in part.strip("[]").split(",")
            )
            found[name] = found[whole][top:bottom, left:right]
    cut = {name.partition("@")[0] for name in file if "@" in name}
    found = {name: each.squeeze() for name, each in found.items() if name not in cut}
    golden.all_close(found, {name: array.squeeze() for name, array in file.items()})
