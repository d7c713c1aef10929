"""Numbers as distributions over bins."""

import pytest
import torch

from agents.parts import blocks, laprop, twohot

BINS = twohot.bins()
TARGETS = torch.tensor([0.0, 0.5, -0.3, 1.0, 333.3, -1e4, 1e9, -1e9, *BINS[[0, 100, 127, 254]]])


def test_bins_are_antisymmetric_and_grow_exponentially():
    assert len(BINS) == 255 and BINS[127] == 0 and torch.equal(BINS, -BINS.flip(0))
    torch.testing.assert_close(
        BINS, twohot.symexp(torch.linspace(-20, 20, 255)), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        twohot.symlog(twohot.symexp(torch.arange(-9.0, 9))), torch.arange(-9.0, 9)
    )


def test_a_number_is_shared_by_its_two_neighbours_in_raw_units():
    found = twohot.encode(TARGETS, BINS)
    assert ((found > 0).sum(-1) <= 2).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(len(TARGETS)))
    wanted = TARGETS.clamp(BINS[0], BINS[-1])
    torch.testing.assert_close(
        (found.double() @ BINS.double()).float(), wanted, rtol=1e-5, atol=1e-5
    )
    below, share = twohot.place(torch.tensor([(BINS[130] + BINS[131]) / 2]), BINS)
    assert below.tolist() == [130] and share.item() == pytest.approx(0.5)


def test_equal_logits_mean_exactly_zero_and_opposite_ones_cancel():
    assert twohot.mean(torch.full((3, 255), -1.7), BINS).tolist() == [0.0] * 3
    logits = torch.randn(4, 255)
    torch.testing.assert_close(twohot.mean(logits.flip(-1), BINS), -twohot.mean(logits, BINS))


def test_symmetric_logits_mean_nothing_however_large_the_outermost_bins_weigh():
    half = 2 * torch.randn(400, 128, generator=torch.Generator().manual_seed(0))
    logits = torch.cat([half, half[:, :-1].flip(-1)], -1)
    assert not twohot.mean(logits, BINS).any()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("rows", "units"), [(256, 64), (2560, 128), (96, 256), (7, 32)])
def test_bins_that_never_occur_cancel_to_the_last_bit_after_updates(kind, rows, units):
    generator = torch.Generator().manual_seed(0)
    head = blocks.Mirrored(units, 255, 0.0)
    opt = laprop.LaProp(list(head.parameters()), 1e-3, 10, 0.3, (0.9, 0.999), 1e-20)
    draw = lambda: torch.randn(rows, units, generator=generator).to(kind)  # noqa: E731
    for _ in range(40):
        target = torch.randint(-1, 2, (rows,), generator=generator).float()
        opt.minimise(twohot.cross_entropy(head(draw()), BINS, target).mean())
    with torch.no_grad():
        logits = head(draw()).float()
    low, high = logits[:, :120], logits[:, -120:].flip(-1)  # But for the bins around -1, 0 and 1.
    assert torch.equal(low, high)
    assert twohot.mean(logits, BINS).abs().max() < 1


@pytest.mark.parametrize("shape", [(), (5,), (3, 40)], ids=str)
def test_the_mean_is_its_plain_twin(shape):
    logits = torch.randn(*shape, 255) - 0.3 * (torch.arange(255) - 127).abs()
    for each in (logits, logits.bfloat16()):
        found, wanted = twohot.mean(each, BINS), twohot.plain_mean(each, BINS)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_the_cross_entropy_is_its_plain_twin_for_one_target_and_for_two(scales, kind):
    targets = [TARGETS, TARGETS.flip(0)][: len(scales)]
    up, found = torch.arange(1.0, 1 + len(TARGETS)), []

    def plain(logits):
        losses = [twohot.plain_cross_entropy(logits, target, BINS) for target in targets]
        return sum(scale * loss for scale, loss in zip(scales, losses, strict=True))

    for loss in (lambda x: twohot.cross_entropy(x, BINS, *targets, scales=scales), plain):
        generator = torch.Generator().manual_seed(0)
        logits = (3 * torch.randn(len(TARGETS), 255, generator=generator)).to(kind).requires_grad_()
        error = loss(logits)
        assert error.dtype == torch.float32
        found.append((error, *torch.autograd.grad((error * up).sum(), logits)))
    near = 1e-5 if kind == torch.float32 else 0.01
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=near, atol=near)


def test_the_cross_entropy_is_least_where_the_logits_say_the_target():
    target = torch.tensor([3.3])
    right = twohot.encode(target, BINS).clamp(min=1e-9).log()
    losses = [twohot.cross_entropy(logits, BINS, target) for logits in (right, right.roll(1, -1))]
    entropy = -(twohot.encode(target, BINS) * right).sum()
    assert losses[0].item() == pytest.approx(entropy.item(), abs=1e-4)
    assert losses[0] < losses[1]


def test_means_stay_float32_where_products_are_bfloat16(monkeypatch):
    logits = torch.randn(50, len(BINS)) * 3
    monkeypatch.setattr(twohot.native, "usable", lambda *tensors: False)
    wanted = twohot.mean(logits, BINS)
    with torch.autocast("cpu", torch.bfloat16):
        found = twohot.mean(logits, BINS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)
