"""PPO as a plain loop on gymnasium: the yardstick for our own, and nothing else.

Same network, batch, epochs, minibatches, optimiser and threads as `ppo`; float32 in torch's
default layout, SyncVectorEnv, one process. Written straight from the paper.

Source: Schulman et al. 2017, arXiv:1707.06347.
"""

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

STREAMS, LENGTH, EPOCHS, MINIBATCHES = 8, 128, 4, 4


class Network(nn.Module):
    """The encoder of DQN with a policy and a value head."""

    def __init__(self, actions: int):
        """Builds the layers."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(),
        )  # fmt: skip
        self.actor, self.critic = nn.Linear(512, actions), nn.Linear(512, 1)

    def forward(self, image: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        """Takes (B, 4, 84, 84) uint8."""
        features = self.body(image.float() / 255)
        return Categorical(logits=self.actor(features)), self.critic(features)[:, 0]


class PlainPPO:
    """Plays rollouts and learns from them."""

    def __init__(self, world):
        """Takes a SyncVectorEnv of stacked gray frames."""
        self.world = world
        self.net = Network(int(world.single_action_space.n))
        self.opt = torch.optim.Adam(self.net.parameters(), 2.5e-4, eps=1e-5)
        self.obs = torch.as_tensor(world.reset(seed=0)[0])
        self.done = torch.zeros(STREAMS)

    def iteration(self) -> int:
        """Plays one rollout, updates sixteen times, returns the agent steps."""
        shape = (LENGTH, STREAMS)
        obs = torch.zeros((*shape, 4, 84, 84), dtype=torch.uint8)
        action, logp, reward, done, value = (torch.zeros(shape) for _ in range(5))
        for t in range(LENGTH):
            obs[t], done[t] = self.obs, self.done
            with torch.no_grad():
                policy, value[t] = self.net(self.obs)
            action[t] = policy.sample()
            logp[t] = policy.log_prob(action[t])
            found, points, terminated, truncated, _ = self.world.step(action[t].long().numpy())
            reward[t] = torch.as_tensor(np.sign(points), dtype=torch.float32)
            self.obs = torch.as_tensor(found)
            self.done = torch.as_tensor(terminated | truncated, dtype=torch.float32)
        advantage = self.advantage(reward, done, value)
        self.learn(obs.flatten(0, 1), action.flatten(), logp.flatten(), advantage, value)
        return LENGTH * STREAMS

    @torch.no_grad()
    def advantage(self, reward, done, value) -> torch.Tensor:
        """Returns generalised advantages."""
        ahead, following, ended = torch.zeros(STREAMS), self.net(self.obs)[1], self.done
        advantage = torch.zeros_like(reward)
        for t in reversed(range(LENGTH)):
            delta = reward[t] + 0.99 * (1 - ended) * following - value[t]
            ahead = delta + 0.99 * 0.95 * (1 - ended) * ahead
            advantage[t], following, ended = ahead, value[t], done[t]
        return advantage

    def learn(self, obs, action, logp, advantage, value) -> None:
        """Takes epochs x minibatches steps."""
        target, before, advantage = (
            (advantage + value).flatten(),
            value.flatten(),
            advantage.flatten(),
        )
        for _ in range(EPOCHS):
            for index in torch.randperm(len(obs)).chunk(MINIBATCHES):
                policy, now = self.net(obs[index])
                ratio = (policy.log_prob(action[index]) - logp[index]).exp()
                a = advantage[index]
                a = (a - a.mean()) / (a.std() + 1e-8)
                gain = torch.min(ratio * a, ratio.clamp(0.9, 1.1) * a).mean()
                clipped = before[index] + (now - before[index]).clamp(-0.1, 0.1)
                error = torch.max((now - target[index]) ** 2, (clipped - target[index]) ** 2)
                loss = -gain + 0.25 * error.mean() - 0.01 * policy.entropy().mean()
                self.opt.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
                self.opt.step()
