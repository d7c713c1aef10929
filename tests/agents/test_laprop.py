"""LaProp with adaptive clipping, on flat storage."""

import pytest
import torch
from torch import nn

from agents.parts.laprop import LaProp
from tests.agents import toys


def made(rate=0.1, warmup=0, clip=1e9, eps=1e-20, seed=0):
    torch.manual_seed(seed)
    params = [
        nn.Parameter(torch.randn(3, 4)),
        nn.Parameter(torch.zeros(5)),
        nn.Parameter(torch.randn(())),
    ]
    return LaProp(params, rate, warmup, clip, (0.9, 0.999), eps), params


def gradients(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), ())]


def arrays(params):
    return [param.detach().numpy().copy() for param in params]


def test_the_first_step_goes_by_the_rate_along_the_sign():
    opt, params = made(rate=0.1)
    before, grads = arrays(params), gradients(1)
    opt.step(grads)
    for param, old, grad in zip(params, before, grads, strict=True):
        torch.testing.assert_close(param.detach(), torch.from_numpy(old) - 0.1 * grad.sign())


def test_while_it_warms_up_the_first_step_is_none_and_the_others_grow():
    opt, params = made(rate=1.0, warmup=4)
    start, rates = arrays(params), []
    for step in range(6):
        opt.step(gradients(1))
        rates.append(opt.rate_now().item())
        assert step or toys.same(arrays(params), start)
    assert rates == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])


def test_steps_do_not_depend_on_the_scale_of_gradients():
    (one, params), (other, scaled) = made(), made()
    for step in range(4):
        one.step(gradients(step))
        other.step(gradients(step, 1e-6))
    for param, like in zip(params, scaled, strict=True):
        torch.testing.assert_close(param, like, rtol=1e-4, atol=1e-5)


def test_a_gradient_is_clipped_by_the_norm_of_its_own_tensor_and_zeros_can_move():
    opt, params = made(rate=0.0, clip=0.3)
    sizes = [float(param.detach().norm()) for param in params]
    opt.step(gradients(0, 1e3))
    second = opt.views(opt.state_dict()["second"])
    for size, moment in zip(sizes, second, strict=True):
        assert (moment / 0.001).sum().sqrt().item() == pytest.approx(
            0.3 * max(1e-3, size), rel=1e-4
        )


def test_a_gradient_of_zero_moves_nothing():
    opt, params = made()
    before = arrays(params)
    opt.step([torch.zeros_like(param) for param in params])
    assert toys.same(arrays(params), before)


def test_minimising_a_loss_steps_along_its_gradients():
    (one, params), (other, like) = made(), made()
    loss = sum((param**2).sum() + param.sum() for param in params)
    norm = one.minimise(loss)
    grads = [2 * param.detach() + 1 for param in like]
    assert norm.item() == pytest.approx(torch.cat([grad.flatten() for grad in grads]).norm().item())
    other.step(grads)
    assert toys.same(arrays(params), arrays(like))


def test_parameters_are_views_of_one_flat_tensor():
    opt, params = made()
    flat = torch.cat([param.detach().flatten() for param in params])
    assert torch.equal(opt.flat, flat)
    with torch.no_grad():
        params[0][1, 2] = 7.0
    assert (opt.flat == 7.0).sum() == 1


def test_a_saved_state_goes_on_bit_for_bit():
    one, params = made(warmup=3)
    for step in range(3):
        one.step(gradients(step))
    state = {
        k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in one.state_dict().items()
    }
    other, like = made(warmup=3, seed=1)
    for param, copy in zip(like, params, strict=True):
        param.data.copy_(copy.data)
    other.load_state_dict(state)
    for opt in (one, other):
        opt.step(gradients(9))
    assert toys.same(arrays(params), arrays(like))
