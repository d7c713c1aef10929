"""The image networks of Dreamer v3."""

import pytest
import torch
import torch.nn.functional as F

from agents.parts import norms, pooled

NEAR = {torch.float32: 1e-5, torch.bfloat16: 0.03}


def gradients(out, inputs):
    up = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [out, *torch.autograd.grad(out, inputs, up.to(out.dtype))]


@pytest.mark.parametrize("kind", NEAR, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 4, 4, 8), (3, 6, 2, 5)], ids=str)
def test_doubling_in_one_convolution_is_repeating_pixels_and_convolving(shape, kind):
    torch.manual_seed(0)
    conv = pooled.Conv(shape[-1], 6)
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(shape).to(kind).requires_grad_()
    inputs = [x, conv.weight, conv.bias]
    fast = gradients(norms.spread(conv.doubled(x)), inputs)
    weight, bias = conv.weight.to(kind), conv.bias.to(kind)
    plain = gradients(pooled.plain_upsample(x, weight, bias), inputs)
    for one, other in zip(fast, plain, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        largest = other.float().abs().max()
        assert (one.float() - other.float()).abs().max() <= NEAR[kind] * largest


@pytest.mark.parametrize("shape", [(2, 16, 16, 1), (3, 8, 4, 3), (1, 5, 7, 6)], ids=str)
def test_a_convolution_keeps_the_size_and_sees_zeros_around(shape):
    torch.manual_seed(0)
    conv, x = pooled.Conv(shape[-1], 4), torch.randn(shape)
    wanted = F.conv2d(x.permute(0, 3, 1, 2), conv.weight, conv.bias, padding=2)
    torch.testing.assert_close(conv(x), wanted.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64, 3), (96, 96, 1), (32, 48, 4)], ids=str)
def test_encoder_and_decoder_take_every_size_that_can_be_halved_four_times(shape):
    encoder = pooled.Encoder(shape, 2)
    decoder = pooled.Decoder(16, 8, shape, 2, 5, 4)
    tokens = encoder(torch.rand(2, *shape) - 0.5)
    assert tokens.shape == (2, encoder.outputs) == (2, shape[0] // 16 * (shape[1] // 16) * 8)
    image = norms.spread(decoder(torch.randn(2, 16), torch.randn(2, 8)))
    assert image.shape == (2, *shape)


def test_the_encoder_is_the_plain_chain_of_its_stages():
    torch.manual_seed(0)
    encoder, x = pooled.Encoder((32, 32, 3), 2), torch.rand(2, 32, 32, 3) - 0.5
    y = x.permute(0, 3, 1, 2)
    for conv, norm in zip(encoder.convs, encoder.norms, strict=True):
        y = F.max_pool2d(F.conv2d(y, conv.weight, conv.bias, padding=2), 2).permute(0, 2, 3, 1)
        y = F.silu(norms.rms(y, norm.gain)).permute(0, 3, 1, 2)
    torch.testing.assert_close(encoder(x), y.permute(0, 2, 3, 1).flatten(1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(60, 64, 3), (64, 40, 3)])
def test_an_image_that_cannot_be_halved_four_times_is_refused(shape):
    with pytest.raises(ValueError, match=r"view\.size.*multiples of 16"):
        pooled.Encoder(shape, 2)
