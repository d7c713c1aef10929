"""`reverie dream`: what a run's world model sees, expects and dreams, as videos and pictures.

The agent plays the suite's task for a while, on an environment of its own; its last rows are what
the model is shown. The run may still be going on: only its weights are read.

Shapes: B games side by side, T rows, L dreamed steps, H W C image.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from agents import base
from launch import media, trained
from launch.config import RunConfig
from launch.loop import OBSERVED
from launch.ticker import Ticker
from suites import emulators, env, seeding
from suites.env import VectorEnv

GAMES = 4  # Side by side.
CONTEXT = 5  # Rows before what is imagined, as in the agents' reports.
WARM = 100  # Agent steps before anything is shown: a game has to get going.
LONGEST = 1000  # Agent steps more, until no game is over at the moment a dream begins.


def main(
    path: Path,
    *,
    out: Path | None,
    weights: str | None,
    steps: int,
    seed: int,
    device: str,
    policy: str,
) -> str:
    """Makes videos and pictures of a run's world model and returns what they show.

    Args:
        path: the run folder.
        out: folder of the files instead of RUN/media.
        weights: "final", "best", "latest" or None; see `trained.load`.
        steps: imagined, and dreamed.
        seed: of the games and of the draws.
        device: of the agent.
        policy: "sampled" or "greedy", in the real games.

    Raises:
        ValueError: it is no run folder, has no such weights, or its agent has no world model.
    """
    found = trained.load(path, weights, device)
    if found.weights.note:
        print(found.weights.note, file=sys.stderr)
    refuse_modelless(found)
    folder = out or path / "media"
    with Ticker(sys.stderr) as ticker:
        names = "dream", found.run.game, seed
        batch, carry = played(
            found, names, CONTEXT + steps, policy,
            lambda step: ticker.show(lambda seconds: f"playing, step {step}"),
        )  # fmt: skip
        rng = seeding.generator(*names, "model")
        report = found.agent.report(batch, rng)
        dreamed = found.agent.dream(carry, steps + 1, rng)  # With the row where it begins.
        files = written(found, folder, report, batch, dreamed)
    return "\n".join([heading(found), *told(report, dreamed), *map(str, files)])


def refuse_modelless(found: trained.Trained) -> None:
    """Refuses an agent that cannot dream, before anything is played.

    Raises:
        ValueError: it has no world model.
    """
    agent = found.agent
    if not agent.dream(agent.init(1), 1, seeding.generator("dream")):
        raise ValueError(
            f"{found.path}: {found.run.agent} has no world model, so it cannot dream; "
            f"`reverie play {found.path}` shows it at play"
        )


def heading(found: trained.Trained) -> str:
    """Returns whose model it is."""
    run = found.run
    return f"{run.agent} on {run.game}, seed {run.seed} · {found.weights} · suite {run.suite}"


def played(
    found: trained.Trained,
    names: tuple[str | int, ...],
    rows: int,
    policy: str,
    between: Callable[[int], None],
) -> tuple[base.Rows, base.Carry]:
    """Plays some games and returns their last rows, and the agent's state after them.

    Args:
        found: the agent and its run.
        names: what the random numbers are for.
        rows: T, how many are returned.
        policy: "sampled" or "greedy".
        between: called between steps with their number.

    Returns:
        Arrays (B, T, ...) as in a batch of training, and the carry.
    """
    run = found.run
    world = env.make(
        run.game, run.task, run.view, GAMES, names, backend=run.backend, workers=0, training=False
    )
    rng, kept = seeding.generator(*names, "policy"), []
    carry, action = found.agent.init(GAMES), np.zeros(GAMES, np.int64)
    try:
        for step in range(rows + WARM + LONGEST):
            between(step)
            before, obs = action, row_of(world, action)
            carry, action, _ = found.agent.policy(carry, obs, policy, rng)
            led = np.where(obs["is_first"], -1, before)
            kept = [*kept[1 - rows :], obs | {"action": action, "previous_action": led}]
            if step + 1 >= rows + WARM and not obs["is_last"].any():
                break
    finally:
        world.close()
    return {name: np.stack([row[name] for row in kept], 1) for name in kept[0]}, carry


def row_of(world: VectorEnv, action: np.ndarray) -> base.Rows:
    """Steps and returns copies of what an agent may see."""
    rows = world.step(action)
    return {name: rows[name].copy() for name in OBSERVED}


def written(
    found: trained.Trained,
    folder: Path,
    report: base.Tree,
    batch: base.Rows,
    dreamed: base.Rows,
) -> list[Path]:
    """Writes all files and returns their paths.

    Raises:
        ValueError: a file cannot be written.
    """
    paths = [folder / name for name in ("open_loop.mp4", "reconstruction.png")]
    paths += [folder / name for name in ("dream.mp4", "dream.gif")]
    title, channels = heading(found), media.channels(found.run.view)
    # The last row is the moment at which the dream begins, and its first image.
    seen = batch["image"][:, -CONTEXT:-1]
    pictures = list(media.dream(seen, dreamed, channels, actions(found.run), title))
    try:
        media.write_mp4(paths[0], media.open_loop(report, channels, title))
        media.write_png(paths[1], media.reconstruction(report, channels, title))
        media.write_mp4(paths[2], pictures)
        media.write_gif(paths[3], pictures)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written to ({error.strerror})") from error
    return paths


def actions(run: RunConfig) -> list[str]:
    """Returns what a run's actions are called."""
    return list(emulators.make(run.game, run.task.actions, False, "names").names)


def told(report: base.Tree, dreamed: base.Rows) -> Iterable[str]:
    """Yields how good the model was and what happened in the dreams."""
    context, true = report["context"], report["true"]
    count, rows = true.shape[:2]
    imagined = rows - context
    yield (
        f"{count} sequences of {rows} rows; the model was shown {context} and imagined {imagined}"
    )
    yield (
        f"mean error of a pixel, of 255: {off(true, report['posterior']):.2f} where it saw the "
        f"image, {off(true[:, context:], report['open_loop'][:, context:]):.2f} where it imagined "
        f"it, {off(true[:, -1], report['open_loop'][:, -1]):.2f} in the last row"
    )
    # The first row is where the dream begins: its reward was earned before.
    total, lasts = dreamed["reward"][:, 1:].sum(1), dreamed["proceed"][:, 1:].prod(1)
    yield (
        f"{count} dreams of {dreamed['reward'].shape[1] - 1} steps: reward {total.mean():+.2f} on "
        f"average, {lasts.mean():.0%} likely not to end before"
    )


def off(true: Any, model: Any) -> float:
    """Returns the mean absolute difference of images."""
    return float(np.abs(model.astype(np.int16) - true).mean())
