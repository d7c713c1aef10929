"""The encoder: its fast first layer, its precision, and the scale of its pixels."""

import math

import pytest
import torch
import torch.nn.functional as F

from agents.parts import images, torch_agent

SIZES = ((84, 84), (64, 64), (40, 44), (42, 38))  # The last is no multiple of 4.
KINDS = pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)


def layer(channels, size, kind):
    """Returns images, kernel and bias of a first layer, in a type whose products are compared."""
    rng = torch.Generator().manual_seed(channels)
    image = torch.randint(256, (2, *size, channels), generator=rng, dtype=torch.uint8)
    kernel = torch.randn(8, channels, 8, 8, generator=rng) / 1000
    bias = torch.randn(8, generator=rng)
    return image, *(x.to(kind).requires_grad_() for x in (kernel, bias))


@KINDS
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_the_fast_first_layer_equals_the_plain_one(kind, channels, size):
    image, kernel, bias = layer(channels, size, kind)
    fast = images.first_layer(image, kernel, bias)
    plain = images.plain_first_layer(image, kernel, bias)
    close = {"rtol": 2e-2, "atol": 2e-2} if kind == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(fast, plain, **close)
    toward = torch.randn(plain.shape, generator=torch.Generator().manual_seed(0)).to(kind)
    found, wanted = (torch.autograd.grad((y * toward).sum(), (kernel, bias)) for y in (fast, plain))
    for one, other in zip(found, wanted, strict=True):
        scale = float(other.detach().float().abs().max())
        torch.testing.assert_close(one / scale, other / scale, **close)


def encoder(shape=(40, 40, 3), relu=True):
    torch.manual_seed(0)
    return images.Encoder(shape, 16, relu)


def plain(net, x):
    """Returns the features of floats in 0..1, (N, C, H, W), layer by layer."""
    for conv in net.convs:
        x = F.relu(conv(x))
    # The features of a linear layer are in the order height, width, channel.
    x = net.linear(x.permute(0, 2, 3, 1).flatten(1))
    return F.relu(x) if net.relu else x


@pytest.mark.parametrize("relu", [True, False])
def test_a_pixel_of_255_enters_as_1(relu):  # 000#2
    net = encoder(relu=relu)
    white = torch.full((2, 40, 40, 3), 255, dtype=torch.uint8)
    found = net(white, net.weights(torch.float32))
    torch.testing.assert_close(found, plain(net, torch.ones(2, 3, 40, 40)), rtol=1e-4, atol=1e-5)


def test_every_pixel_is_scaled_and_the_network_is_the_plain_one():
    net = encoder()
    image = torch.randint(256, (5, 40, 40, 3), dtype=torch.uint8)
    found = net(image, net.weights(torch.float32))
    wanted = plain(net, image.permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert found.dtype == torch.float32


def test_features_are_not_clipped_unless_asked():
    image = torch.randint(256, (5, 40, 40, 3), dtype=torch.uint8)
    net = encoder(relu=False)
    linear = net(image, net.weights(torch.float32))
    assert (linear < 0).any()
    net.relu = True
    assert torch.equal(net(image, net.weights(torch.float32)), linear.clamp(min=0))


def test_bf16_agrees_with_float32_in_values_and_gradients():
    net = encoder()
    image = torch.randint(256, (16, 40, 40, 3), dtype=torch.uint8)
    results = []
    for kind in (torch.float32, torch.bfloat16):
        features = net(image, net.weights(kind))
        gradients = torch.autograd.grad(features.square().mean(), list(net.parameters()))
        results.append((features.detach(), *gradients))
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32
        assert (exact - rounded).norm() < 0.03 * exact.norm()


def test_weights_are_float32_whatever_the_products_are():
    net = encoder()
    net(torch.zeros(1, 40, 40, 3, dtype=torch.uint8), net.weights(torch.bfloat16))
    assert {param.dtype for param in net.parameters()} == {torch.float32}


def test_an_image_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"view\.size.*\(35, 36\)"):
        images.Encoder((35, 36, 1), 16, True)
    images.Encoder((36, 36, 1), 16, True)


def test_precision_is_what_is_asked_for_and_auto_looks_at_the_device(monkeypatch):
    cpu = torch.device("cpu")
    assert torch_agent.precision("float32", cpu) == torch.float32
    assert torch_agent.precision("bfloat16", cpu) == torch.bfloat16
    for has, kind in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch_agent, "has_bf16", lambda device, has=has: has)
        assert torch_agent.precision("auto", cpu) == kind


@pytest.mark.parametrize("gain", [math.sqrt(2), 0.01])
def test_initial_weights_are_orthogonal_with_the_gain_that_is_asked_for(gain):
    net = images.orthogonal(torch.nn.Linear(20, 6), gain)
    square = net.weight @ net.weight.T
    torch.testing.assert_close(square, gain**2 * torch.eye(6), rtol=1e-4, atol=1e-6)
    assert not net.bias.any()
