"""The recurrent model of Dreamer v3: its gates, blocks and masks."""

import torch
import torch.nn.functional as F

from agents.parts import block_rssm

SIZES = block_rssm.Sizes(16, 6, 3, 4, 4)


def model():
    torch.manual_seed(0)
    return block_rssm.BlockRSSM(SIZES, 3, 5)


def inputs(count=7):
    stoch = F.one_hot(torch.randint(0, 4, (count, 3)), 4).flatten(1).float()
    return torch.randn(count, 16), stoch, F.one_hot(torch.randint(0, 3, (count,)), 3).float()


def test_the_gates_are_mostly_shut_and_stand_in_the_order_reset_candidate_update():
    deter, gates = torch.randn(2, 16), torch.zeros(2, 4, 3, 4)
    shut = torch.sigmoid(torch.tensor(-1.0))
    torch.testing.assert_close(block_rssm.gate(gates, deter), (1 - shut) * deter)
    gates[:, :, 2] = 50.0
    assert not block_rssm.gate(gates, deter).any(), "the candidate is zero"
    gates[:, :, 1] = 50.0
    torch.testing.assert_close(block_rssm.gate(gates, deter), torch.ones(2, 16))
    gates[:, :, 0] = -200.0
    assert not block_rssm.gate(gates, deter).any(), "the reset shuts the candidate"


def test_a_block_sees_its_own_memory_and_what_all_share():
    rssm, (deter, stoch, action) = model(), inputs(1)
    rssm.from_deter.linear.weight.data.zero_()  # What is shared of the memory.
    deter.requires_grad_()
    pre = []
    rssm.inner.register_forward_hook(lambda _m, _x, y: pre.append(y))
    rssm.step(deter, stoch, action)
    for block in range(4):
        (grad,) = torch.autograd.grad(pre[0][0, 4 * block], deter, retain_graph=True)
        assert grad[0].unflatten(0, (4, 4)).any(-1).tolist() == [b == block for b in range(4)]


def test_the_inner_layer_in_two_is_the_inner_layer_in_one():
    rssm = model()
    own, shared = block_rssm.split(rssm)
    deter, rest = torch.randn(2, 16), torch.randn(2, 18)
    both = torch.cat([deter.unflatten(1, (4, 4)), rest[:, None].expand(-1, 4, -1)], -1)
    apart = torch.einsum("ngi,gio->ngo", deter.unflatten(1, (4, 4)), own).flatten(1)
    torch.testing.assert_close(apart + rest @ shared, rssm.inner(both.flatten(1)))


def test_logits_are_float32_and_one_row_a_latent():
    rssm, (deter, _, _) = model().bfloat16(), inputs()
    for logits in (
        rssm.prior_logits(deter.bfloat16()),
        rssm.posterior_logits(deter.bfloat16(), torch.randn(7, 5).bfloat16()),
    ):
        assert logits.shape == (7, 3, 4) and logits.dtype == torch.float32


def test_features_are_the_memory_and_then_the_latents():
    rssm, deter = model(), torch.randn(2, 16)
    index = torch.tensor([[0, 1, 3], [2, 2, 0]])
    found = rssm.feature(deter, index)
    assert torch.equal(found[:, :16], deter)
    assert torch.equal(found[:, 16:].unflatten(1, (3, 4)).argmax(-1), index)
    assert found[:, 16:].sum(-1).tolist() == [3.0, 3.0]
