"""Actor and critic of Dreamer v3, on play inside the model.

s_0 is a filtered state, s_1 .. s_L are imagined, a_k is taken in s_k; r_k, c_k and V_k are
predicted at s_k. V does not hold r_k, and c holds the discount:

    s_0 --a_0--> s_1 --a_1--> ... --a_{L-1}--> s_L
    R_k = r_{k+1} + c_{k+1} [(1 - lam) V_{k+1} + lam R_{k+1}],  R_L = V_L
    w_k = c_0 .. c_k
    policy: - w_k [log pi(a_k) sg((R_k - V_k) / S) + entropy_scale H(pi_k)]
    value:  w_k [CE(V_k, R_k) + slow_scale CE(V_k, V_slow_k)]

Source: danijar/dreamerv3@e3f0224; Hafner et al. 2023, arXiv:2301.04104, equations 4 to 7.
Shapes: L imagined steps, N = B T starts, B sequences, T rows, T1 = T - 1, F features, A actions,
K bins.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from agents.parts import block_dream, returns, twohot
from agents.parts.block_world import Data, Seen
from agents.parts.percentiles import Percentiles


@runtime_checkable
class Settings(Protocol):
    """What actor and critic need of an agent's settings."""

    discount_horizon: float
    lam: float
    entropy_scale: float
    slow_scale: float


class Judged(NamedTuple):
    """What a dream is worth, without gradients; entry k is of s_k."""

    reward: Float[Tensor, "L N"]  # of s_1 .. s_L
    proceed: Float[Tensor, "L+1 N"]
    value: Float[Tensor, "L+1 N"]
    slow: Float[Tensor, "L N"]
    target: Float[Tensor, "L N"]
    weight: Float[Tensor, "L N"]


class Behaviour:
    """The actor's and the critic's side of an update."""

    def __init__(
        self,
        settings: Settings,
        networks: Mapping[str, nn.Module],
        frozen: Mapping[str, nn.Module],
        scale: Percentiles,
        bins: Tensor,
    ):
        """Remembers.

        Args:
            settings: of the agent.
            networks: actor and critic.
            frozen: reward, proceed, critic, slow, with the same weights and without gradients.
            scale: of returns.
            bins: of rewards and values.
        """
        self.settings, self.networks, self.frozen = settings, networks, frozen
        self.scale, self.bins = scale, bins

    @torch.no_grad()
    def judge(self, dream: block_dream.Dream, logits: Float[Tensor, "L N K"]) -> Judged:
        """Returns rewards, continuations and values of a dream, and its returns.

        Args:
            dream: what was played.
            logits: of the critic, but for the last state.
        """
        feature, mean = dream.feature, lambda logits: twohot.mean(logits, self.bins)
        reward = mean(self.frozen["reward"](feature[1:]))
        proceed = self.frozen["proceed"](feature)[..., 0].float().sigmoid()
        value = torch.cat([mean(logits), mean(self.frozen["critic"](feature[-1:]))])
        slow = mean(self.frozen["slow"](feature[:-1]))
        target = returns.lambda_return(reward, proceed[1:], value, self.settings.lam)
        return Judged(reward, proceed, value, slow, target, proceed[:-1].cumprod(0))

    def losses(self, dream: block_dream.Dream) -> tuple[Data, Data, Judged]:
        """Returns policy and value term of each step, (L, N), diagnostics, and what was judged."""
        critic = self.networks["critic"](dream.feature[:-1]).float()
        judged = self.judge(dream, critic.detach())
        scale = self.scale.update(judged.target)
        advantage = (judged.target - judged.value[:-1]) / scale
        logp = dream.logits.log_softmax(-1)
        entropy = -(logp.exp() * logp).sum(-1)
        gain = logp.gather(-1, dream.action[..., None])[..., 0] * advantage
        losses = {
            "policy": -judged.weight * (gain + self.settings.entropy_scale * entropy),
            "value": judged.weight * self.critic_error(critic, judged.target, judged.slow),
        }
        metrics = {
            "train/entropy": entropy.detach().mean(),
            "train/value": judged.value.mean(),
            "train/slow_value": judged.slow.mean(),
            "train/imagined_return": judged.target.mean(),
            "train/advantage": advantage.mean(),
            "train/weight": judged.weight.mean(),
            "train/imagined_reward": judged.reward.mean(),
            "train/return_low": self.scale.low.clone(),
            "train/return_high": self.scale.high.clone(),
            "train/return_scale": scale,
        }
        return losses, metrics, judged

    def replay_targets(self, rows: Data, imagined: Float[Tensor, " N"]) -> Float[Tensor, "B T1"]:
        """Returns what rows were worth, with imagined returns wherever play is not known.

        R_t = r_{t+1} + discount (1 - term_{t+1}) [(1 - k) boot_{t+1} + k R_{t+1}],
        k = lam (1 - last_{t+1}),  R_{T-1} = boot_{T-1}

        Args:
            rows: reward, is_last, is_terminal.
            imagined: return of the dream that began at each row: boot.
        """
        discount = 1 - 1 / self.settings.discount_horizon
        follow = discount * (~rows["is_terminal"][:, 1:]).float()
        lam = self.settings.lam * (~rows["is_last"][:, 1:]).float()
        boot = imagined.view(rows["is_last"].shape)
        target = returns.lambda_return(rows["reward"][:, 1:].t(), follow.t(), boot.t(), lam.t())
        return target.t()

    def replay_loss(
        self, rows: Data, seen: Seen, imagined: Float[Tensor, " N"]
    ) -> Float[Tensor, "B T1"]:
        """Returns the critic's error on the rows; its gradient shapes the representation.

        Args:
            rows: reward, is_last, is_terminal.
            seen: features, not detached.
            imagined: return of the dream that began at each row.
        """
        feature = seen.feature[:, :-1]
        with torch.no_grad():
            slow = twohot.mean(self.frozen["slow"](feature), self.bins)
        critic = self.networks["critic"](feature).float()
        error = self.critic_error(critic, self.replay_targets(rows, imagined), slow)
        return (~rows["is_last"][:, :-1]).float() * error

    def critic_error(
        self, logits: Float[Tensor, "*M K"], target: Float[Tensor, "*M"], slow: Float[Tensor, "*M"]
    ) -> Float[Tensor, "*M"]:
        """Returns the cross-entropy with the target, and with what the slow critic says."""
        scales = (1.0, self.settings.slow_scale)
        return twohot.cross_entropy(logits, self.bins, target, slow, scales=scales)
