"""The model of Dreamer v3 over whole batches of rows, with a backward pass written by hand.

What does not wait for the memory is computed for all rows at once: the shares of actions and
embeddings before the loop; after it the prior, and what no loop is needed for. The backward loop
keeps to products with the memory's gradient; the factors that it multiplies with, and the gradients
of all weights, are single operations over all rows. `plain_observe` is the twin: the model's own
`step` in a loop, differentiated by autograd.

Source: agents/parts/block_rssm.py holds the equations.
Shapes: T rows, B sequences, D memory, V latents, K classes, Z = V K, G blocks, J = D / G, U hidden,
E embedding, A actions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from agents.parts import block_rssm, norms, unimix
from agents.parts.block_rssm import UPDATE_BIAS, BlockRSSM

Draw = Callable[[Tensor, int], Tensor]  # Probabilities (B, V, K) and the row to classes (B, V).


class Observed(NamedTuple):
    """What rows were filtered to; gradients flow through memory and probabilities."""

    deter: Float[Tensor, "B T D"]
    probs: Float[Tensor, "B T V K"]  # of the posterior, mixed
    index: Int[Tensor, "B T V"]  # what was drawn


def observe(
    model: BlockRSSM,
    deter: Float[Tensor, "B D"],
    index: Integer[Tensor, "B V"],
    action: Float[Tensor, "B T A"],
    embedding: Float[Tensor, "B T E"],
    first: Bool[Tensor, "B T"],
    draw: Draw,
) -> Observed:
    """Filters rows.

    Where a row begins an episode, the state and the action that lead to it become zero.

    Args:
        model: whose weights count.
        deter: memory before the first row, in the type of all products.
        index: latents before the first row.
        action: that led to each row, one-hot.
        embedding: of each row.
        first: whether a row begins an episode.
        draw: draws the latents of a row.
    """
    kind, size = deter.dtype, model.sizes.deter
    keep = (~first).t()[..., None].to(kind)
    own, shared = block_rssm.split(model)
    wide = model.sizes.hidden
    acted = model.from_action(action.to(kind).transpose(0, 1) * keep)
    acted = acted @ shared[2 * wide :].to(kind) + model.inner.bias.to(kind)
    block, out = model.posterior
    of_deter, of_embedding = block.linear.weight.split([size, embedding.shape[-1]], 1)
    seen = embedding.to(kind).transpose(0, 1) @ of_embedding.to(kind).t() + block.linear.bias.to(
        kind
    )
    layers = (model.from_deter, model.from_stoch)
    weights = [part for each in layers for part in (each.linear.weight, each.linear.bias)]
    weights += [shared[: 2 * wide], own, model.gates.weight, model.gates.bias]
    weights += [of_deter, out.weight, out.bias]
    gains = [each.norm.gain for each in layers] + [model.inner_norm.gain, block.norm.gain]
    cast = [weight.to(kind) for weight in weights]
    found = Scan.apply(model.sizes, draw, deter, index, keep, acted, seen, *gains, *cast)
    return Observed(*(each.transpose(0, 1) for each in found))


def plain_observe(
    model: BlockRSSM,
    deter: Float[Tensor, "B D"],
    index: Integer[Tensor, "B V"],
    action: Float[Tensor, "B T A"],
    embedding: Float[Tensor, "B T E"],
    first: Bool[Tensor, "B T"],
    draw: Draw,
) -> Observed:
    """Filters rows one by one, as the equations say: the twin of `observe`."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    stoch = unimix.one_hot(index, model.sizes.classes, deter.dtype)
    for row in range(action.shape[1]):
        keep = (~first[:, row, None]).to(deter.dtype)
        deter = model.step(deter * keep, stoch * keep, action[:, row].to(deter.dtype) * keep)
        probs = unimix.mixed(model.posterior_logits(deter, embedding[:, row].to(deter.dtype)))
        index = draw(probs.detach(), row)
        stoch = unimix.straight_through(probs, index, deter.dtype)
        found.append((deter, probs, index))
    return Observed(*(torch.stack(each, 1) for each in zip(*found, strict=True)))


class Gains(NamedTuple):
    """Of the four norms in the loop."""

    deter: Tensor
    stoch: Tensor
    inner: Tensor
    posterior: Tensor


class Weights(NamedTuple):
    """Of the products in the loop, in their type."""

    deter: Tensor  # (U, D)
    deter_bias: Tensor
    stoch: Tensor  # (U, Z)
    stoch_bias: Tensor
    shared: Tensor  # (2 U, D)
    own: Tensor  # (G, J, J)
    gates: Tensor  # (G, J, 3 J)
    gates_bias: Tensor  # (3 D)
    posterior: Tensor  # (U, D)
    out: Tensor  # (Z, U)
    out_bias: Tensor


class Tape(NamedTuple):
    """What the loop leaves behind for the way back, (T, B, ...) each."""

    before: Tensor  # memory before each row, where it was kept
    latent: Tensor  # latents before each row, one-hot, where they were kept
    of_deter: Tensor  # before the norm
    of_stoch: Tensor
    inner: Tensor
    gates: Tensor  # (T, B, G, 3, J)
    hidden: Tensor  # of the posterior, before the norm
    probs: Tensor  # (T, B, V, K)


class Scan(torch.autograd.Function):
    """The loop over rows; see `observe` for what goes in."""

    @staticmethod
    def forward(
        ctx: Any, sizes: block_rssm.Sizes, draw: Draw, deter: Tensor, index: Tensor, keep: Tensor,
        acted: Tensor, seen: Tensor, *params: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Returns memory (T, B, D), probabilities (T, B, V, K) and classes (T, B, V)."""
        gains, w = Gains(*params[:4]), Weights(*params[4:])
        rows, count = acted.shape[:2]
        latent = unimix.one_hot(index, sizes.classes, deter.dtype)
        after, drawn, tape = [], [], []
        for row in range(rows):
            before, latent = deter * keep[row], latent * keep[row]
            of_deter = torch.addmm(w.deter_bias, before, w.deter.t())
            of_stoch = torch.addmm(w.stoch_bias, latent, w.stoch.t())
            both = torch.cat(
                [norms.norm_silu(of_deter, gains.deter), norms.norm_silu(of_stoch, gains.stoch)], -1
            )
            inner = grouped(before, w.own) + torch.addmm(acted[row], both, w.shared)
            gates = grouped(norms.norm_silu(inner, gains.inner), w.gates) + w.gates_bias
            gates = gates.view(count, sizes.groups, 3, -1)
            deter = block_rssm.gated(gates, before)
            hidden = torch.addmm(seen[row], deter, w.posterior.t())
            logits = torch.addmm(w.out_bias, norms.norm_silu(hidden, gains.posterior), w.out.t())
            probs = unimix.mixed(logits.view(count, sizes.latents, sizes.classes))
            index = draw(probs, row)
            tape.append((before, latent, of_deter, of_stoch, inner, gates, hidden, probs))
            after.append(deter)
            drawn.append(index)
            latent = unimix.one_hot(index, sizes.classes, deter.dtype)
        kept = Tape(*(torch.stack(each) for each in zip(*tape, strict=True)))
        found = torch.stack(after), kept.probs, torch.stack(drawn)
        ctx.save_for_backward(keep, found[0], *gains, *w, *kept)
        ctx.sizes = sizes
        ctx.mark_non_differentiable(found[2])
        return found

    @staticmethod
    def backward(ctx: Any, deter_grad: Tensor, probs_grad: Tensor, _: Any) -> tuple[Any, ...]:
        """Returns the gradients of everything that goes in."""
        keep, after, *rest = ctx.saved_tensors
        gains, w, tape = Gains(*rest[:4]), Weights(*rest[4:15]), Tape(*rest[15:])
        back = Back(ctx.sizes, keep, gains, w, tape, deter_grad, probs_grad)
        for row in reversed(range(len(keep))):
            back.row(row)
        grads = back.gains() + back.weights(after)
        return (None, None, back.deter, None, None, back.inner.pre, back.hidden.pre, *grads)


class NormBack:
    """The way back through a norm and its SiLU, its factors computed for all rows at once."""

    def __init__(self, pre: Tensor, gain: Tensor):
        """Prepares.

        Args:
            pre: what was normed, (T, B, M).
            gain: of the norm.
        """
        kind, x = pre.dtype, pre.float()
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + norms.EPS)
        x = x * scale
        y = x * gain
        gate = y.sigmoid()
        self.after = (y * gate).to(kind)
        self.slope = gate * (1 + y * (1 - gate))  # of SiLU
        self.normed, self.scaled, self.whole = x, x * scale / x.shape[-1], self.slope * gain
        self.scale = scale
        self.ups, self.pre = torch.empty_like(x), torch.empty_like(pre)

    def row(self, row: int, up: Tensor) -> Tensor:
        """Returns the gradient before the norm, given the one after the SiLU."""
        self.ups[row] = up
        inside = up * self.whole[row]
        mean = (inside * self.normed[row]).sum(-1, keepdim=True)
        self.pre[row] = torch.addcmul(inside * self.scale[row], self.scaled[row], mean, value=-1)
        return self.pre[row]

    def gain(self) -> Tensor:
        """Returns the gradient of the gain."""
        return (self.ups * self.slope * self.normed).sum((0, 1))


class Back:
    """The loop backwards; keeps the gradients of all rows for the products after it."""

    def __init__(
        self, sizes: block_rssm.Sizes, keep: Tensor, gains: Gains, w: Weights, tape: Tape,
        deter_grad: Tensor, probs_grad: Tensor,
    ):  # fmt: skip
        """Computes the factors of all rows."""
        self.sizes, self.keep, self.w, self.tape = sizes, keep, w, tape
        self.deter_grad, self.probs_grad = deter_grad, probs_grad
        pairs = zip(tape[2:5], gains[:3], strict=True)
        self.of_deter, self.of_stoch, self.inner = (NormBack(*pair) for pair in pairs)
        self.hidden = NormBack(tape.hidden, gains.posterior)
        self.soft = tape.probs - unimix.UNIFORM / sizes.classes  # (1 - uniform) softmax
        self.gates, self.stay = gate_slopes(tape.gates.float(), tape.before.float())
        self.logits = torch.empty_like(tape.probs, dtype=keep.dtype).flatten(2)
        self.gate_grads = torch.empty_like(tape.gates)
        self.deter = torch.zeros_like(deter_grad[0])
        self.latent = torch.zeros_like(probs_grad[0]).flatten(1)

    def row(self, row: int) -> None:
        """Goes back over a row: from the gradients after it to those before it."""
        w, kind = self.w, self.keep.dtype
        up = self.probs_grad[row] + self.latent.view(self.probs_grad[row].shape)
        up = self.soft[row] * up
        share = up.sum(-1, keepdim=True) / (1 - unimix.UNIFORM)
        logits = torch.addcmul(up, self.soft[row], share, value=-1).flatten(1)
        self.logits[row] = logits
        hidden = self.hidden.row(row, self.logits[row] @ w.out)
        deter = self.deter_grad[row] + self.deter + hidden @ w.posterior
        own = deter.float().view(len(deter), self.sizes.groups, 1, -1)
        self.gate_grads[row] = own * self.gates[row]
        before = deter * self.stay[row]
        flat = self.gate_grads[row].flatten(1)
        inner = self.inner.row(row, grouped(flat, w.gates.transpose(1, 2)))
        both = inner @ w.shared.t()
        of_deter, of_stoch = both.chunk(2, -1)
        of_deter, of_stoch = self.of_deter.row(row, of_deter), self.of_stoch.row(row, of_stoch)
        before = before + grouped(inner, w.own.transpose(1, 2)) + of_deter @ w.deter
        self.deter = (before * self.keep[row]).to(kind)
        self.latent = (of_stoch @ w.stoch * self.keep[row]).to(self.probs_grad.dtype)

    def gains(self) -> list[Tensor]:
        """Returns the gradients of the gains."""
        return [each.gain() for each in (self.of_deter, self.of_stoch, self.inner, self.hidden)]

    def weights(self, after: Tensor) -> list[Tensor]:
        """Returns the gradients of the weights: one product each, over all rows."""
        tape, groups = self.tape, self.sizes.groups
        of_deter, of_stoch = self.of_deter.pre.flatten(0, 1), self.of_stoch.pre.flatten(0, 1)
        inner, before = self.inner.pre.flatten(0, 1), tape.before.flatten(0, 1)
        gates, logits = self.gate_grads.flatten(0, 1).flatten(1), self.logits.flatten(0, 1)
        both = torch.cat([self.of_deter.after, self.of_stoch.after], -1).flatten(0, 1)
        return [
            of_deter.t() @ before,
            of_deter.sum(0),
            of_stoch.t() @ tape.latent.flatten(0, 1),
            of_stoch.sum(0),
            both.t() @ inner,
            outer(before, inner, groups),
            outer(self.inner.after.flatten(0, 1), gates, groups),
            gates.sum(0),
            self.hidden.pre.flatten(0, 1).t() @ after.flatten(0, 1),
            logits.t() @ self.hidden.after.flatten(0, 1),
            logits.sum(0),
        ]


def gate_slopes(
    gates: Float[Tensor, "T B G 3 J"], before: Float[Tensor, "T B D"]
) -> tuple[Float[Tensor, "T B G 3 J"], Float[Tensor, "T B D"]]:
    """Returns how the memory after a row moves with the gates, and with the memory before it."""
    reset, candidate, update = gates.unbind(3)
    reset, update = reset.sigmoid(), (update + UPDATE_BIAS).sigmoid()
    new = (reset * candidate).tanh()
    through = update * (1 - new.square())
    slopes = [
        through * candidate * reset * (1 - reset),
        through * reset,
        (new - before.view(new.shape)) * update * (1 - update),
    ]
    return torch.stack(slopes, 3), (1 - update).flatten(2)


def grouped(x: Float[Tensor, "B I"], weight: Float[Tensor, "G I_G O_G"]) -> Float[Tensor, "B O"]:
    """Returns the product with a matrix that is blocks on the diagonal."""
    pieces = x.unflatten(1, (len(weight), -1)).transpose(0, 1)
    return torch.bmm(pieces, weight).transpose(0, 1).flatten(1)


def outer(x: Float[Tensor, "M I"], y: Float[Tensor, "M O"], groups: int) -> Tensor:
    """Returns the gradient (G, I / G, O / G) of `grouped`'s weight."""
    x, y = (each.unflatten(1, (groups, -1)) for each in (x, y))
    return torch.bmm(x.permute(1, 2, 0), y.transpose(0, 1))
