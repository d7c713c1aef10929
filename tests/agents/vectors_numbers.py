"""Vectors of transforms, two-hot numbers, returns and their scale."""

import torch

from agents.parts import percentiles, returns, symlog_twohot, twohot
from suites import game
from tests.agents.vectors import near, tensor


def symlog(v):
    near(twohot.symlog(tensor(v["x"])), v["y"])


def symexp(v):
    near(twohot.symexp(tensor(v["y"])), v["x"])


def tanh_reward(v):
    near(game.REWARD["tanh"](tensor(v["x"]).double().numpy()), v["y"])


def twohot_v3_current(v):
    bins = twohot.bins()
    assert len(bins) == v["n"]
    for name, wanted in v.items():
        if name.startswith("bin_"):
            place = {"bin_first": 0, "bin_last": -1}.get(name)
            place = int(name.removeprefix("bin_")) if place is None else place
            near(bins[place], wanted)
    assert torch.equal(bins, -bins.flip(0)), "exactly antisymmetric"
    for row in v["rows"]:
        check_row(row, tensor(row["target"]), bins, lambda x: x)


def twohot_v3_2023(v):
    # The units of dreamerv3_2023; the same interpolation serves them.
    bins = symlog_twohot.bins()
    near(bins[1] - bins[0], v["bin_step"])
    for row in v["rows"]:
        check_row(row, twohot.symlog(tensor(row["target"])), bins, twohot.symexp)


def check_row(row, target, bins, decode):
    """Either index may carry a weight of zero, so whole vectors are compared."""
    wanted = torch.zeros(len(bins))
    wanted[row["lower_index"]] += row["weight_lower"]
    wanted[row["upper_index"]] += row["weight_upper"]
    found = twohot.encode(target, bins)
    near(found, wanted, atol=1e-5)
    for mean in (twohot.mean, twohot.plain_mean):
        near(decode(mean(found.clamp(min=1e-30).log(), bins)), row["decoded"], rtol=2e-5)


def twohot_ce(v):
    bins, target = twohot.bins(), tensor([3.7])
    zeros = torch.zeros(1, len(bins))
    waves = 2 * torch.cos(0.05 * torch.arange(len(bins)))[None]
    for logits, wanted in ((zeros, "zero_logits_loss"), (waves, "case_b_loss")):
        near(twohot.cross_entropy(logits, bins, target), [v[wanted]])
        near(twohot.plain_cross_entropy(logits, target, bins), [v[wanted]])
    for mean in (twohot.mean, twohot.plain_mean):
        assert mean(zeros, bins).item() == v["uniform_prediction_must_be"]


def twohot_pred_small(v):
    bins, logits = tensor(v["bins"]), tensor([0.1, 0.2, 0.3, -0.4, 1.0])
    near(twohot.mean(logits, bins), v["mean"])


def rows(v, *names):
    return [tensor(v[name])[:, None] for name in names]


def lambda_return_arrival_v1_v2(v):
    reward, value, follow = rows(v, "r", "v", "d")
    found = returns.lambda_return(reward[:-1], follow[:-1], value, v["lam"])
    near(found[:, 0], v["returns"])


def departure(v, lam):
    reward, value, follow = rows(v, "r", "v", "c")
    return returns.lambda_return(reward[1:], follow[1:], value, lam)[:, 0]


def lambda_return_departure_v3(v):
    near(departure(v, v["lam"]), v["returns"])


def lambda_limits(v, others):
    arrays = others["lambda_return_departure_v3"]
    near(departure(arrays, 0.0), v["lam0"])
    near(departure(arrays, 1.0), v["lam1"])


def lambda_return_replay_v3(v):
    reward, last, term, boot = rows(v, "r", "last", "term", "boot")
    follow, lam = v["gamma"] * (1 - term[1:]), v["lam"] * (1 - last[1:])
    near(returns.lambda_return(reward[1:], follow, boot, lam)[:, 0], v["returns"])
    near(1 - last[:-1, 0], v["weights"])


def imagination_weights(v):
    (alive,) = rows(v, "p")
    near(returns.weights(alive[:-1])[:, 0], v["v1"])
    near(returns.weights(alive)[:, 0], v["v2"])
    near(alive.cumprod(0)[:, 0], v["v3_current"])
    # The older variant, which no agent here is.
    gamma = 332 / 333
    near((gamma * alive).cumprod(0)[:, 0] / gamma, v["v3_2023_with_gamma_332_333"])


def return_normaliser(v):
    scale = percentiles.Percentiles(0.01, 1.0)
    for step in v["steps"]:
        batch = tensor(step["batch"])
        ordered = batch.sort().values
        near(percentiles.quantile(ordered, percentiles.LOW), step["p5"], atol=1e-5)
        near(percentiles.quantile(ordered, percentiles.HIGH), step["p95"], atol=1e-5)
        near(scale.update(batch), step["scale"])
        near(scale.low, step["lo"])
        near(scale.high, step["hi"])


def return_normaliser_constant(v):
    scale, wanted = percentiles.Percentiles(0.01, 1.0), {row["update"]: row for row in v["rows"]}
    for update in range(1, max(wanted) + 1):
        found = scale.update(tensor([-2.0, 7.0]).repeat(10))
        if update in wanted:
            near(found, wanted[update]["scale"])
            near(scale.low, wanted[update]["lo"])
            near(scale.high, wanted[update]["hi"])
