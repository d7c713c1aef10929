"""Dreamer v1's parts one by one beside the official program's, and its full size.

Source of the numbers: danijar/dreamer@56d4d44 with TensorFlow 2.2; tests/parity/golden/README.md.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import agents
from agents.parts import categorical, epsilon, gaussian, keras_gru, returns
from agents.parts.keras_adam import KerasAdam
from tests.agents import toys
from tests.parity import golden
from tests.parity import official_v1 as official

AGENT = official.AGENT


def tensor(array):
    return torch.from_numpy(np.asarray(array))


def test_the_gru_and_its_gradients_are_those_of_keras():
    file = golden.load(AGENT, "gru_cell.npz")
    cell = keras_gru.Cell(file["input"].shape[1], file["state"].shape[1])
    official.put(
        {"gru": cell}, {f"gru/{k}": file[k] for k in ("kernel", "recurrent_kernel", "bias")}
    )
    x, state = (tensor(file[key]).requires_grad_() for key in ("input", "state"))
    output = cell(x, state)
    golden.close(output, file["output"])
    inputs = [x, state, *cell.parameters()]
    dx, dstate, *grads = torch.autograd.grad((output * tensor(file["upstream"])).sum(), inputs)
    by = dict(zip(map(id, cell.parameters()), grads, strict=True))
    found = official.layout({"gru": cell}, lambda param: by[id(param)])
    found = {name.removeprefix("gru/"): grad for name, grad in found.items()}
    golden.gradients_close(found | {"input": dx, "state": dstate}, golden.sub(file, "grad_"))
    states, state = [], tensor(file["state"])
    for step in range(len(file["rollout_states"])):
        state = cell(tensor(file["input"]) * (step + 1), state)
        states.append(state)
    golden.close(torch.stack(states), file["rollout_states"])


@pytest.mark.parametrize("name", ["model", "actor_value", "amplified_clip10", "wd_has_no_effect"])
def test_the_optimiser_steps_as_the_official_one(name):
    file, c = golden.load(AGENT, "optimizer.npz"), golden.config(AGENT, "optimizer.json")[name]
    params = [torch.nn.Parameter(tensor(file[key])) for key in ("w0", "b0")]
    # The official weight decay is computed and never assigned: it is 0 whatever is asked for.
    optimiser = KerasAdam(params, c["lr"], c["eps"], c["clip"], 0.0)
    for step in range(len([key for key in file if key.startswith("grad_w/")])):
        norm = optimiser.step([tensor(file[f"grad_{key}/{step}"]) for key in "wb"])
        found = {"w": params[0], "b": params[1], "grad_norm": norm}
        golden.all_close(found, golden.sub(file, f"{name}/{step}/"))


def onehot():
    given = golden.sub(golden.load(AGENT, "misc.npz"), "onehot/")
    logits, index = tensor(given["logits"]).requires_grad_(), tensor(given["sample_index"])
    action = categorical.straight_through(logits, categorical.one_hot(index, logits.shape[-1]))
    golden.close(action, given["sample_value"])
    (grad,) = torch.autograd.grad((action * tensor(given["upstream"])).sum(), logits)
    golden.close(grad, given["grad_logits"], golden.GRADIENTS)
    golden.close(categorical.one_hot(logits.argmax(-1), logits.shape[-1]), given["mode"])
    golden.close(logits.softmax(-1), given["probs"])
    golden.close(categorical.entropy(logits), given["entropy"])


def kl():
    given = golden.sub(golden.load(AGENT, "misc.npz"), "kl/")
    names = ("post_mean", "post_std", "prior_mean", "prior_std")
    inputs = [tensor(given[name]).requires_grad_() for name in names]
    value = gaussian.divergence(gaussian.Normal(*inputs[:2]), gaussian.Normal(*inputs[2:]))
    golden.close(value, given["value"])
    grads = torch.autograd.grad(value.sum(), inputs)
    golden.gradients_close(dict(zip(names, grads, strict=True)), golden.sub(given, "grad_"))


def bernoulli():
    given = golden.sub(golden.load(AGENT, "misc.npz"), "bernoulli/")
    logits, label = tensor(given["logits"]), tensor(given["label"])
    found = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    golden.close(-found, given["log_prob"])


def lambda_return():
    given = golden.sub(golden.load(AGENT, "misc.npz"), "lambda_return/")
    reward, value, follow, last = (
        tensor(given.pop(name)) for name in ("reward", "value", "pcont", "bootstrap")
    )
    value = torch.cat([value, last[None]])
    found = {lam: returns.lambda_return(reward, follow, value, float(lam)) for lam in given}
    golden.all_close(found, given)


def expl_schedule_amount_decay_min_step_result():
    misc = golden.load(AGENT, "misc.npz")
    for row in misc["expl_schedule_amount_decay_min_step_result"]:
        start, span, least, step, wanted = map(float, row)
        kind = "halving" if span else "constant"
        golden.close(epsilon.scheduled(kind, start, least, span or 1.0, int(step)), wanted)


def tanh_normal():
    pytest.skip("tanh_normal: the actor of continuous actions, which no Atari game has")


PIECES = {
    piece.__name__: piece
    for piece in (
        onehot, kl, bernoulli, lambda_return, expl_schedule_amount_decay_min_step_result,
        tanh_normal,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_a_small_piece_is_the_official_one(name):
    assert {key.partition("/")[0] for key in golden.load(AGENT, "misc.npz")} == set(PIECES)
    PIECES[name]()


@pytest.mark.parametrize("variant", ["64x64x3", "64x64x1"])
def test_the_full_size_has_the_official_tensors_and_their_initial_statistics(variant):
    variants = golden.config(AGENT, "sizes.json")["variants"]
    wanted = variants[variant]
    (actions,) = variants["64x64x3"]["tensors"]["actor/hout/bias"]["shape"]
    config = agents.configure(AGENT, "none", ["float32"])
    agent = toys.built(AGENT, config, tuple(map(int, variant.split("x"))), actions, 0)
    found = official.tensors(agent)
    shapes = {name: list(each.shape) for name, each in found.items() if name in wanted["tensors"]}
    assert shapes == {name: about["shape"] for name, about in wanted["tensors"].items()}
    for name, count in wanted["modules"].items():
        mine = [each for key, each in found.items() if key.startswith(f"{name}/")]
        assert sum(each.numel() for each in mine) == count, name
    for name, optimiser in agent.optimisers.items():
        count = sum(param.numel() for param in optimiser.params)
        assert count == wanted["totals"][f"{name}_optimizer"], name
    for name, about in wanted["tensors"].items():
        tensor = found[name].double()
        if about["init"] == "Zeros":
            assert not tensor.any(), name
        elif about["init"] == "Orthogonal":
            golden.close(tensor @ tensor.T, np.eye(len(tensor)), name=name)
        else:
            # Of a uniform distribution; five standard errors of a standard deviation.
            assert tensor.abs().max() <= about["limit"] * (1 + 1e-4), name
            wide = about["expected_std"] * (1e-4 + 2.3 / tensor.numel() ** 0.5)
            assert abs(tensor.std() - about["expected_std"]) <= wide, name
            assert abs(tensor.mean()) <= 5 * about["expected_std"] / tensor.numel() ** 0.5, name


def test_the_defaults_are_the_official_ones_but_for_the_settings_of_atari():
    def value(key):
        found = agents.settings(AGENT, "none", [])
        for part in key.split("."):
            found = found[part]
        return found

    wanted = official.settings(golden.config(AGENT, "config_repo_defaults.json"))
    differ = {key for key, each in wanted.items() if value(key) != each}
    exploration = {"epsilon", "epsilon_least", "epsilon_schedule"}
    assert differ == {"kl_scale", "continue_head", "horizon", "view.reward", *exploration}
    assert official.settings(golden.config(AGENT))["kl_scale"] == value("kl_scale")
