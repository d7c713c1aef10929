"""Strided convolutions against torch's own, layer by layer."""

import functools

import pytest
import torch
import torch.nn.functional as F

from agents.parts import dense, strided

DEPTH, FEATURES = 2, 7


def plain_encoder(encoder, image):
    x = image.permute(0, 3, 1, 2)
    for conv in encoder.convs:
        x = encoder.activation(F.conv2d(x, conv.weight, conv.bias, stride=2))
    return x.permute(0, 2, 3, 1).flatten(1)


def plain_decoder(decoder, features):
    x = decoder.linear(features)[:, :, None, None]
    for number, conv in enumerate(decoder.convs):
        x = F.conv_transpose2d(x, conv.weight, conv.bias, stride=2)
        x = decoder.activation(x) if number < 3 else x
    return x.permute(0, 2, 3, 1)


def gradients(found, module):
    up = torch.linspace(-1, 1, found.numel()).view(found.shape)
    return torch.autograd.grad((found * up).sum(), list(module.parameters()))


@pytest.mark.parametrize("activation", [F.relu, dense.elu], ids=["relu", "elu"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_encoder_is_its_plain_twin_gradients_included(channels, activation):
    torch.manual_seed(0)
    encoder = strided.Encoder(channels, DEPTH, activation)
    image = torch.rand(3, 64, 64, channels) - 0.5
    found, wanted = encoder(image), plain_encoder(encoder, image)
    assert found.shape == (3, encoder.size)
    torch.testing.assert_close(found, wanted)
    for ours, theirs in zip(gradients(found, encoder), gradients(wanted, encoder), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", [F.relu, dense.elu], ids=["relu", "elu"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_decoder_is_its_plain_twin_gradients_included(channels, activation):
    torch.manual_seed(0)
    decoder = strided.Decoder(FEATURES, DEPTH, channels, activation)
    torch.nn.init.normal_(decoder.convs[0].bias)
    features = torch.randn(3, FEATURES)
    found, wanted = decoder(features), plain_decoder(decoder, features)
    assert found.shape == (3, 64, 64, channels)
    torch.testing.assert_close(found, wanted)
    for ours, theirs in zip(gradients(found, decoder), gradients(wanted, decoder), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_black_and_white_are_half_a_unit_from_the_centre():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1)
    torch.testing.assert_close(strided.centred(image).flatten(), torch.tensor([-0.5, 0.5, -0.3]))


@pytest.mark.parametrize("size", [(96, 64, 1), (32, 32, 3)])
def test_other_sizes_are_refused_with_what_is_allowed(size):
    with pytest.raises(ValueError, match=rf"view\.size: \[{size[0]}, {size[1]}\].*\[64, 64\]"):
        strided.check_size(size)
    assert strided.check_size((64, 64, size[2])) is None


def test_kernels_lie_in_memory_as_images_do():
    make = functools.partial(strided.Decoder, FEATURES, DEPTH, 3)
    for module in (strided.Encoder(3, DEPTH, F.relu), make(F.relu)):
        for conv in module.convs:
            assert conv.weight.is_contiguous(memory_format=torch.channels_last)
