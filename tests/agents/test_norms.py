"""Norms of Dreamer v3: each door beside its plain twin, values and gradients."""

import pytest
import torch

from agents.parts import native, norms

KINDS = pytest.mark.parametrize(
    ("kind", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.04)], ids=["float32", "bfloat16"]
)


def apart(fast, plain, x, gain):
    """Returns how far two doors are apart, their gradients included, as a share of the largest."""
    found = []
    for door in (fast, plain):
        inputs = [x.detach().clone().requires_grad_(), gain.detach().clone().requires_grad_()]
        out = door(*inputs)
        up = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
        found.append([out, *torch.autograd.grad(out, inputs, up)])
    shares = []
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        off, largest = (one.float() - other.float()).abs().max(), other.float().abs().max()
        shares.append((off / largest.clamp(min=1e-3)).item())
    return max(shares)


@KINDS
@pytest.mark.parametrize("shape", [(1,), (5, 16), (3, 7, 33), (2, 3, 4, 130)], ids=str)
def test_norm_and_silu_are_their_plain_twin(shape, kind, near):
    torch.manual_seed(0)
    x = (torch.randn(shape) * 3).to(kind)
    gain = torch.rand(shape[-1]) + 0.5
    assert apart(norms.norm_silu, norms.plain_norm_silu, x, gain) <= near


@KINDS
@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (5, 8, 6, 16), (3, 4, 4, 40)], ids=str)
def test_pooling_and_norm_are_their_plain_twin(shape, kind, near):
    torch.manual_seed(0)
    x = torch.randn(shape).to(kind)
    gain = torch.rand(shape[-1]) + 0.5
    assert apart(norms.pool_norm_silu, norms.plain_pool_norm_silu, x, gain) <= near


@KINDS
@pytest.mark.parametrize("shape", [(1, 1, 1, 12), (5, 3, 2, 64), (2, 4, 4, 20)], ids=str)
def test_norm_and_spreading_are_their_plain_twin(shape, kind, near):
    torch.manual_seed(0)
    x, gain = torch.randn(shape).to(kind), torch.rand(shape[-1] // 4) + 0.5
    assert apart(norms.norm_silu_spread, norms.plain_norm_silu_spread, x, gain) <= near


@KINDS
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (4, 3, 5, 12)], ids=str)
def test_the_error_of_images_is_its_plain_twin(shape, kind, near):
    torch.manual_seed(0)
    count, height, width, channels = shape
    image = torch.randint(0, 256, (count, 2 * height, 2 * width, channels // 4), dtype=torch.uint8)
    found = []
    for door in (norms.image_error, norms.plain_image_error):
        logits = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(kind)
        error = door(logits.requires_grad_(), image)
        assert error.dtype == torch.float32
        found.append(
            (error, *torch.autograd.grad((error * torch.arange(1, count + 1)).sum(), logits))
        )
    for one, other in zip(*found, strict=True):
        assert (one.float() - other.float()).abs().max() <= near * other.float().abs().max()


@KINDS
def test_pixels_are_centred_as_by_the_plain_twin(kind, near):
    image = torch.arange(256, dtype=torch.uint8).view(2, 8, 16, 1)
    found = norms.centred(image, kind)
    assert found.dtype == kind and found.min() == -0.5 and found.max() == 0.5
    torch.testing.assert_close(found, norms.plain_centred(image, kind), atol=near / 4, rtol=0)


def test_maps_that_do_not_lie_end_to_end_are_taken_too():
    x = torch.randn(2, 6, 4, 8).transpose(1, 2)
    gain = torch.rand(8)
    for fast, plain in (
        (norms.norm_silu, norms.plain_norm_silu),
        (norms.pool_norm_silu, norms.plain_pool_norm_silu),
    ):
        torch.testing.assert_close(fast(x, gain), plain(x, gain))


def test_without_compiled_kernels_the_twins_take_over(monkeypatch):
    x, gain = torch.randn(3, 4, 4, 8), torch.rand(8)
    found = norms.pool_norm_silu(x, gain)
    monkeypatch.setattr(native, "kernels", lambda: None)
    assert not native.usable(x)
    torch.testing.assert_close(norms.pool_norm_silu(x, gain), found)


def test_the_norm_divides_by_the_root_of_the_mean_square_and_no_mean_is_taken_off():
    x = torch.tensor([[3.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    found = norms.rms(x, torch.ones(4))
    torch.testing.assert_close(found, torch.tensor([[1.0] * 4, [0.0] * 4]), atol=1e-5, rtol=0)
    small = norms.rms(torch.full((1, 4), 1e-2), torch.ones(4))
    # Here eps is as large as the square.
    torch.testing.assert_close(small, torch.full((1, 4), 0.5**0.5))


def test_spreading_and_gathering_are_opposites():
    x = torch.arange(2 * 4 * 6 * 3).view(2, 4, 6, 3)
    assert torch.equal(norms.spread(norms.gather(x)), x)
    assert norms.gather(x)[0, 1, 2].view(2, 2, 3).tolist() == x[0, 2:4, 4:6].tolist()
