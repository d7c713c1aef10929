"""The scan whose gradients are written by hand, beside the plain one that torch differentiates."""

import pytest
import torch
import torch.nn.functional as F

from agents.parts import block_rssm, block_scan, unimix

SIZES = [
    block_rssm.Sizes(16, 8, 4, 4, 8),
    block_rssm.Sizes(24, 5, 3, 7, 4),
    block_rssm.Sizes(12, 6, 1, 2, 1),
]
ACTIONS, EMBEDDING = 5, 9


def model(sizes):
    torch.manual_seed(0)
    found = block_rssm.BlockRSSM(sizes, ACTIONS, EMBEDDING)
    with torch.no_grad():
        for param in found.parameters():  # Gains and biases must show, too.
            param.add_(0.1 * torch.randn(param.shape))
    return found


def given(sizes, kind, count=3, rows=5):
    """Returns what `observe` takes after the model."""
    first = torch.rand(count, rows) < 0.3
    first[0, 2], first[1] = True, False
    index = torch.randint(0, sizes.classes, (rows, count, sizes.latents))
    action = F.one_hot(torch.randint(0, ACTIONS, (count, rows)), ACTIONS)
    deter = torch.randn(count, sizes.deter).to(kind).requires_grad_()
    embedding = torch.randn(count, rows, EMBEDDING).to(kind).requires_grad_()
    start = torch.randint(0, sizes.classes, (count, sizes.latents))
    return deter, start, action.to(kind), embedding, first, lambda _seen, row: index[row]


def outcome(observe, rssm, args):
    """Returns what was seen, and the gradients of a number that depends on all of it."""
    states = observe(rssm, *args)
    stoch = unimix.straight_through(states.probs, states.index, states.deter.dtype)
    generator = torch.Generator().manual_seed(1)
    weigh = lambda x: (x.float() * torch.randn(x.shape, generator=generator)).sum()  # noqa: E731
    loss = weigh(states.deter) + weigh(stoch) + weigh(states.probs.log())
    inputs = [args[0], args[3], *(p for n, p in rssm.named_parameters() if "prior" not in n)]
    return states, torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("kind", "near"), [(torch.float32, 2e-5), (torch.bfloat16, 0.06)])
def test_both_scans_see_the_same_and_have_the_same_gradients(sizes, kind, near):
    rssm = model(sizes)
    args = given(sizes, kind)
    fast, fast_grads = outcome(block_scan.observe, rssm, args)
    plain, plain_grads = outcome(block_scan.plain_observe, rssm, args)
    for one, other in zip(fast, plain, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one.float(), other.float(), atol=near, rtol=near)
    for one, other in zip(fast_grads, plain_grads, strict=True):
        assert one.dtype == other.dtype
        largest = other.float().abs().max()
        assert (one.float() - other.float()).abs().max() <= near * largest + 1e-6


def test_gradients_do_not_cross_the_beginning_of_an_episode():
    rssm, (deter, index, action, embedding, _, draw) = (
        model(SIZES[0]),
        given(SIZES[0], torch.float32),
    )
    first = torch.zeros(action.shape[:2], dtype=torch.bool)
    first[:, 3] = True
    states = block_scan.observe(rssm, deter, index, action, embedding, first, draw)
    grads = torch.autograd.grad(states.deter[:, 3:].square().sum(), [deter, embedding])
    assert not grads[0].any() and not grads[1][:, :3].any() and grads[1][:, 3].any()


def test_draws_see_the_probabilities_of_their_row():
    rssm, args = model(SIZES[0]), given(SIZES[0], torch.float32)
    seen = []
    states = block_scan.observe(
        rssm, *args[:-1], lambda p, row: (seen.append(p), args[-1](p, row))[1]
    )
    assert len(seen) == args[2].shape[1]
    probs = torch.stack([unimix.mixed(p) if p.min() < 0 else p for p in seen], 1)
    torch.testing.assert_close(probs, states.probs.detach())
