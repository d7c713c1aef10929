"""What the Dreamers share: acting by a recurrent world model, and showing what it sees and dreams.

A subclass says how its model works on states, which are dicts of tensors (N, ...): `initial`,
`encode`, `observe`, `imagine`, `decode`, `policy_logits`, `predict`. All of them run without
gradients here and draw from the generator that they are given; training is the subclass's own.

Source: danijar/dreamer, danijar/dreamerv2@07d906e, danijar/dreamerv3@e3f0224: the order of acting.
Shapes: N states, B streams, T rows, L imagined steps, H W C image, E embedding, A actions.
"""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from agents import base
from agents.parts import draws, torch_agent

State = dict[str, Tensor]

SHOWN = 5  # Rows that a report shows before imagination begins, or half of them.


class WorldAgent(torch_agent.TorchAgent):
    """Acts, reports and dreams with the world model of a subclass."""

    actions: int
    dtype: torch.dtype  # of products

    # What a subclass says

    def initial(self, count: int) -> State:
        """Returns N states before anything was seen."""
        raise NotImplementedError

    def encode(self, image: UInt8[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """Returns the embedding of images."""
        raise NotImplementedError

    def observe(
        self,
        state: State,
        action: Int[Tensor, " N"],
        embedding: Float[Tensor, "N E"],
        first: Bool[Tensor, " N"],
        rng: np.random.Generator,
    ) -> State:
        """Returns the states after an action and what was seen then.

        Args:
            state: before the action.
            action: that led here.
            embedding: of what was seen.
            first: whether it begins an episode: state and action count as zero.
            rng: draws the latents.
        """
        raise NotImplementedError

    def imagine(self, state: State, action: Int[Tensor, " N"], rng: np.random.Generator) -> State:
        """Returns states after an action, with nothing seen."""
        raise NotImplementedError

    def decode(self, state: State) -> Float[Tensor, "N H W C"]:
        """Returns what a state looks like, in [0, 1]."""
        raise NotImplementedError

    def policy_logits(self, state: State) -> Float[Tensor, "N A"]:
        """Returns the policy's logits."""
        raise NotImplementedError

    def predict(self, state: State) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Returns the reward of arriving in a state, and the probability that it is no end."""
        raise NotImplementedError

    def explore(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns what is done instead of an action of the policy, in training; here the same."""
        return action

    def kept(self, state: State) -> base.Rows:
        """Returns what replay keeps with a row: nothing, unless a subclass says otherwise."""
        return {}

    def products(self) -> AbstractContextManager:
        """Returns a context in which products run in the agent's type."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    # Acting

    def init(self, batch: int) -> base.Carry:
        """Returns the state and the last action of B streams before their first row."""
        state = {name: numpy(tensor) for name, tensor in self.initial(batch).items()}
        return {"state": state, "action": np.zeros(batch, np.int64)}

    @torch.no_grad()
    def policy(
        self, carry: base.Carry, obs: base.Rows, mode: base.Mode, rng: np.random.Generator
    ) -> tuple[base.Carry, np.ndarray, base.Rows]:
        """Filters a row and answers it; the latent is drawn in every mode, as officially."""
        state = {name: self.tensor(array) for name, array in carry["state"].items()}
        embedding = self.encode(self.tensor(obs["image"]))
        first = self.tensor(obs["is_first"])
        state = self.observe(state, self.tensor(carry["action"]), embedding, first, rng)
        logp = self.policy_logits(state).float().log_softmax(-1)
        chosen = logp.argmax(-1) if mode == "greedy" else draws.draw(logp, rng)
        action = numpy(chosen)
        if mode == "train":
            action = self.explore(action, rng)
        elif mode == "random":
            action = rng.integers(self.actions, size=len(action))
        after = {"state": {name: numpy(tensor) for name, tensor in state.items()}, "action": action}
        return after, action, self.kept(state) if mode in ("train", "random") else {}

    # Showing

    @torch.no_grad()
    def report(self, batch: base.Rows, rng: np.random.Generator) -> base.Tree:
        """Returns what was seen beside what the model makes of it: filtered, and imagined."""
        image, action = self.tensor(batch["image"]), self.tensor(batch["action"])
        count, rows = image.shape[:2]
        first = self.tensor(batch["is_first"]).clone()
        first[:, 0] = True
        context = max(1, min(SHOWN, rows // 2))
        embedding = self.encode(image.flatten(0, 1)).unflatten(0, (count, rows))
        state, seen, filtered, imagined = self.initial(count), None, [], []
        for row in range(rows):
            before = action[:, max(row - 1, 0)]
            state = self.observe(state, before, embedding[:, row], first[:, row], rng)
            filtered.append(self.decode(state))
            seen = state if row < context else self.imagine(seen, before, rng)
            imagined.append(filtered[-1] if row < context else self.decode(seen))
        return {
            "context": context,
            "true": numpy(image),
            "posterior": pixels(torch.stack(filtered, 1)),
            "open_loop": pixels(torch.stack(imagined, 1)),
        }

    @torch.no_grad()
    def dream(self, carry: base.Carry, steps: int, rng: np.random.Generator) -> base.Rows:
        """Plays the policy inside the model; the first image is where it begins."""
        state = {name: self.tensor(array) for name, array in carry["state"].items()}
        found: dict[str, list[Tensor]] = {}
        for _ in range(steps):
            reward, proceed = self.predict(state)
            action = draws.draw(self.policy_logits(state).float().log_softmax(-1), rng)
            row = {"image": self.decode(state), "action": action}
            for name, tensor in (row | {"reward": reward, "proceed": proceed}).items():
                found.setdefault(name, []).append(tensor)
            state = self.imagine(state, action, rng)
        image = pixels(torch.stack(found.pop("image"), 1))
        return {"image": image} | {k: numpy(torch.stack(v, 1)) for k, v in found.items()}


def masked(tensor: Tensor, keep: Bool[Tensor, " B"]) -> Tensor:
    """Returns a tensor (B, ...) with zeros in the rows that are not kept."""
    return tensor * keep.to(tensor.dtype).reshape(-1, *[1] * (tensor.dim() - 1))


def pixels(image: Float[Tensor, "*N H W C"]) -> np.ndarray:
    """Returns images in [0, 1] as bytes."""
    return numpy((image.float().clamp(0, 1) * 255).round().to(torch.uint8))


def numpy(tensor: Tensor) -> np.ndarray:
    """Returns a tensor as an array of its own."""
    return tensor.detach().cpu().numpy()
