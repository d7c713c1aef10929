"""The image networks of DreamerV3 of January 2023, beside plain convolutions and norms."""

import torch
import torch.nn.functional as F

from agents.parts import padded
from tests.agents.january import SHAPE, silu_norm


def test_the_encoder_halves_four_times_with_norms_over_channels():
    encoder = padded.Encoder(SHAPE, 2)
    assert [tuple(conv.weight.shape) for conv in encoder.convs] == [
        (2, 3, 4, 4), (4, 2, 4, 4), (8, 4, 4, 4), (16, 8, 4, 4)
    ]  # fmt: skip
    assert all(conv.bias is None for conv in encoder.convs)
    x = image = torch.randn(2, *SHAPE)
    for edge, conv, layer in zip((32, 16, 8, 4), encoder.convs, encoder.norms, strict=True):
        around = F.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1))
        x = silu_norm(F.conv2d(around, conv.weight, stride=2).permute(0, 2, 3, 1), layer)
        assert x.shape[1:3] == (edge, edge)
    torch.testing.assert_close(encoder(image), x.flatten(1), rtol=1e-4, atol=1e-5)
    assert encoder.size == 4 * 4 * 16


def test_the_decoder_doubles_four_times_and_ends_without_a_sigmoid():
    decoder, features = padded.Decoder(10, SHAPE, 2), torch.randn(3, 10)
    assert [tuple(conv.weight.shape) for conv in decoder.convs] == [
        (16, 8, 4, 4), (8, 4, 4, 4), (4, 2, 4, 4), (2, 3, 4, 4)
    ]  # fmt: skip
    assert [conv.bias is None for conv in decoder.convs] == [True, True, True, False]
    x = decoder.linear(features).view(3, 4, 4, 16)
    for stage, conv in enumerate(decoder.convs):
        x = F.conv_transpose2d(x.permute(0, 3, 1, 2), conv.weight, conv.bias, 2, 1)
        x = x.permute(0, 2, 3, 1)
        x = silu_norm(x, decoder.norms[stage]) if stage < 3 else x
    torch.testing.assert_close(decoder(features), x, rtol=1e-4, atol=1e-5)
    torch.nn.init.constant_(decoder.convs[-1].bias, 7.0)
    assert decoder(features).min() > 1
