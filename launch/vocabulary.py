"""The words for what is measured: every metric's name, unit and meaning.

A name is `group/leaf`. Groups are closed: a name outside them is refused when it is written.
`loss/` and `train/` are open for an agent's own terms, the other groups hold the leaves below and
no others. docs/metrics.md shows the same table to people.

Only the standard library is used here: the run loop checks names while it trains.
"""

import difflib
import functools
import re
from collections.abc import Iterable
from typing import NamedTuple


class Group(NamedTuple):
    """Metrics that are written together, and where their numbers come from."""

    source: str  # The file in the run folder.
    open: bool  # Whether an agent may add leaves of its own.
    meaning: str


class Metric(NamedTuple):
    """One number as people see it in MLflow and TensorBoard."""

    name: str
    unit: str
    meaning: str


GROUPS = {
    "episode": Group("episodes.jsonl", False, "One point for every training episode."),
    "eval": Group("evaluation.jsonl", False, "One point for every evaluation that was completed."),
    "loss": Group("metrics.jsonl", True, "What is minimized, before it is scaled."),
    "train": Group("metrics.jsonl", True, "Diagnostics of the updates since the last point."),
    "replay": Group("metrics.jsonl", False, "The agent's memory of past play."),
    "time": Group("metrics.jsonl", False, "Clocks other than frames, and speeds."),
    "score": Group("receipt.json", False, "Written once, when the run has finished."),
}

METRICS = (
    Metric("episode/return", "points", "Unclipped points of the whole game, all lives."),
    Metric("episode/length", "frames", "Frames from reset to game over or cap."),
    Metric("eval/return", "points", "Mean over the suite's evaluation episodes."),
    Metric("eval/return_std", "points", "Standard deviation over them (divisor n)."),
    Metric("eval/episodes", "episodes", "How many episodes the mean is over."),
    Metric("loss/policy", "as the agent defines", "Objective of the policy."),
    Metric("loss/value", "as the agent defines", "Error of the critic."),
    Metric("loss/entropy", "nats", "Negative entropy of the policy."),
    Metric("loss/image", "as the agent defines", "Error of the reconstructed image."),
    Metric("loss/reward", "as the agent defines", "Error of the predicted reward."),
    Metric("loss/continue", "nats", "Error of the predicted continuation."),
    Metric("loss/dynamics", "nats", "Divergence that trains the prior."),
    Metric("loss/representation", "nats", "Divergence that trains the posterior."),
    Metric("loss/transition", "as the agent defines", "Error of the predicted next latent."),
    Metric("loss/model", "as the agent defines", "All errors of the world model, as weighed."),
    Metric("loss/replay_value", "as the agent defines", "Error of the critic on replayed play."),
    Metric("loss/imagined", "as the agent defines", "Error of the critic on imagined play."),
    Metric("train/entropy", "nats", "Mean entropy of the policy."),
    Metric("train/grad_norm", "norm", "Before clipping; with several optimisers the model's."),
    Metric("train/actor_grad_norm", "norm", "The same of the actor's own optimiser."),
    Metric("train/value_grad_norm", "norm", "The same of the critic's own optimiser."),
    Metric("train/value", "points as seen by the agent", "Mean value estimate."),
    Metric("train/slow_value", "points as seen by the agent", "Mean of the critic's slow copy."),
    Metric("train/advantage", "as the agent defines", "Mean advantage, scaled if it is used so."),
    Metric("train/weight", "fraction", "How much imagined steps count: not over before."),
    Metric("train/kl", "nats", "PPO: the new policy from the one that played."),
    Metric("train/divergence", "nats", "Posterior from prior, before free nats and balancing."),
    Metric("train/prior_entropy", "nats", "Entropy of the latent before the image is seen."),
    Metric("train/posterior_entropy", "nats", "Entropy of the latent after it."),
    Metric("train/clip_fraction", "fraction", "Samples whose ratio was clipped."),
    Metric("train/explained_variance", "fraction", "1 - Var[target - value] / Var[target]."),
    Metric("train/return_low", "points as seen by the agent", "Low percentile of returns."),
    Metric("train/return_high", "points as seen by the agent", "High percentile of returns."),
    Metric("train/return_scale", "points as seen by the agent", "What advantages are divided by."),
    Metric("train/epsilon", "fraction", "Share of actions that are drawn uniformly instead."),
    Metric("train/imagined_reward", "points as seen by the agent", "Mean of an imagined step."),
    Metric("train/imagined_return", "points as seen by the agent", "Mean imagined return."),
    Metric("train/latent", "norm", "Size of the features; drift shows here first."),
    Metric("train/learning_rate", "-", "Learning rate of the last update."),
    Metric("replay/size", "steps", "Steps that can be sampled."),
    Metric("replay/ratio", "rows per row", "Trained rows for every played one, since last time."),
    Metric("replay/age", "rows", "Rows played since those that were sampled, on average."),
    Metric("time/hours", "hours", "Wall time of training, all attempts."),
    Metric("time/agent_steps", "agent steps", "Actions chosen, all environments."),
    Metric("time/rows", "rows", "Agent steps and reset rows."),
    Metric("time/updates", "updates", "Gradient steps."),
    Metric("time/frames_per_second", "frames / s", "Since the last point."),
    Metric("time/agent_steps_per_second", "agent steps / s", "Since the last point."),
    Metric("time/updates_per_second", "updates / s", "Since the last point."),
    Metric("score/final", "points", "The suite's score, over its score window."),
    Metric("score/human_normalized", "fraction", "0 is random play, 1 is the human's score."),
)

_SHAPE = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
_LOGGED = "metrics.jsonl"


def check(names: Iterable[str]) -> None:
    """Refuses names that may not stand in metrics.jsonl.

    Args:
        names: of metrics; a mapping from names to values will do.

    Raises:
        ValueError: when a name is outside the groups, misspelt, or comes from another file; one
            message tells everything that is wrong.
    """
    problems = [problem for name in names if (problem := refusal(name))]
    if problems:
        raise ValueError("\n".join(problems))


@functools.lru_cache(maxsize=4096)
def refusal(name: str) -> str:
    """Says why a name may not stand in metrics.jsonl; empty when it may."""
    problem = unknown(name)
    if problem:
        return problem
    source = GROUPS[name.partition("/")[0]].source
    if source == _LOGGED:
        return ""
    return f"metric {name!r} does not belong in {_LOGGED}: it is read from {source}."


@functools.lru_cache(maxsize=4096)
def unknown(name: str) -> str:
    """Says why a name is no metric; empty when it is one."""
    group = name.partition("/")[0]
    if group not in GROUPS:
        return f"metric {name!r} is in no group{_nearest(name)} Groups: {', '.join(GROUPS)}."
    if not _SHAPE.fullmatch(name):
        return f"metric {name!r} must be 'group/leaf' in lower case, digits and '_'."
    if GROUPS[group].open or name in _names():
        return ""
    leaves = ", ".join(
        known.partition("/")[2] for known in _names() if known.startswith(f"{group}/")
    )
    return f"metric {name!r} is not known{_nearest(name)} Leaves of {group}/: {leaves}."


def markdown() -> str:
    """Renders the table of docs/metrics.md."""
    blocks = []
    for group, about in GROUPS.items():
        head = f"### `{group}/`\n\n{about.meaning} From `{about.source}`."
        head += " Agents may add leaves of their own." if about.open else ""
        rows = [f"| `{m.name}` | {m.unit} | {m.meaning} |" for m in _members(group)]
        blocks.append("\n".join([head, "", "| name | unit | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(blocks) + "\n"


def _members(group: str) -> list[Metric]:
    return [metric for metric in METRICS if metric.name.startswith(f"{group}/")]


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(metric.name for metric in METRICS)


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, _names(), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
