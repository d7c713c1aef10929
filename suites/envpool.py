"""The `envpool` backend: emulators in C++ threads.

A game under way cannot be saved: after a restart every environment begins a new one. envpool is
told every option that it has, and what it cannot honour is refused by name. Frame stacks, lost
lives and reward transforms are ours, as with `ale`.

A game may end in the middle of an agent step. Then `duration` counts the whole step, as envpool
does not tell the frame, and the last image may show other frames of that step than with `ale`.

Source: envpool 1.2.5, envpool/atari/atari_env.h.
Shapes: B environments, n of them stepped, h w screen, H W observation.
"""

import numpy as np

from suites import emulators, env, games, images, seeding
from suites.game import LIFE, PLAY, RESET, REWARD
from suites.task import Task
from suites.view import View

SCREEN = 210, 160  # (h, w) that envpool reads, whatever the game draws.
MOST_STEPS = 2**31 - 2  # Of an episode: a C++ int.


class EnvPool:
    """B environments of one game in threads of this process."""

    exact = False

    def __init__(
        self,
        game: str,
        task: Task,
        view: View,
        envs: int,
        names: tuple[str | int, ...],
        *,
        workers: int,
        training: bool,
    ):
        """Starts the emulators; see `suites.env.make`.

        Raises:
            ValueError: names every setting that envpool cannot honour.
        """
        require_honoured(game, task, view, training)
        self.id, self.names = games.load(game).envpool_id, names
        self.options = options(task, view, envs, workers)
        self.task, self.view, self.life_loss = task, view, training and view.life_loss
        self.rows = {k: np.zeros(shape, t) for k, (shape, t) in env.columns(envs, view).items()}
        self.frames = np.zeros((*self.rows["image"].shape[:3], 1 + 2 * (view.color == "rgb")), "u1")
        self.begin(restarts=0)
        actions = int(self.pool.action_space.n)
        self.obs_space, self.act_space = env.spaces_of(view, actions)

    def begin(self, restarts: int) -> None:
        """Starts new games, with random numbers of their own for every restart."""
        import envpool

        seeds = [
            seeding.integer(*self.names, index, "envpool", restarts)
            for index in range(self.options["num_envs"])
        ]
        self.restarts = restarts
        self.pool = envpool.make_gymnasium(self.id, seed=seeds, **self.options)
        self.next = np.full(len(seeds), RESET)
        self.info: dict[str, np.ndarray] = {}  # What envpool last said.

    def step(self, action: np.ndarray) -> dict[str, np.ndarray]:
        """Steps every environment; the arrays returned are overwritten by the next step."""
        rows, before = self.rows, self.rows["lives"].copy()
        first = self.next != PLAY
        for name in ("points", "over", "truncated"):
            rows[name][:] = 0
        going = np.flatnonzero(self.next != LIFE)
        if going.size:  # The others show their last frame as the first of a life.
            self.advance(action[going], going)
        lives, over, truncated = rows["lives"], rows["over"], rows["truncated"]
        lost = self.life_loss & ~first & (lives > 0) & (lives < before)
        as_terminal = truncated & self.task.quirks.truncation_is_terminal
        rows["is_first"][:] = first
        rows["is_last"][:] = over | lost
        rows["is_terminal"][:] = (over & ~truncated) | lost | as_terminal
        rows["reward"][:] = REWARD[self.view.reward](rows["points"])
        self.next = np.where(over, RESET, np.where(lost, LIFE, PLAY))
        self.observe(first)
        return rows

    def advance(self, action: np.ndarray, indices: np.ndarray) -> None:
        """Steps some environments; envpool resets those whose game is over.

        Args:
            action: (n,) integers.
            indices: (n,) of the environments.
        """
        self.pool.send(action.astype(np.int32), indices.astype(np.int32))
        image, points, terminated, truncated, self.info = self.pool.recv()
        where, over = self.info["env_id"], terminated | truncated
        image = image.transpose(0, 2, 3, 1)
        if self.view.color == "gray_from_rgb":
            image = images.gray(image)[..., None]
        self.frames[where] = image
        self.rows["points"][where] = points
        self.rows["over"][where] = over
        self.rows["truncated"][where] = over & (self.info["terminated"] == 0)
        self.rows["duration"][where] = self.info["elapsed_step"] * self.task.frame_skip
        self.rows["lives"][where] = self.info["lives"]

    def observe(self, first: np.ndarray) -> None:
        """Stacks the latest frames into the images; (B,) `first` begin with copies of it."""
        images.push(self.rows["image"], self.frames)
        if first.any():
            self.rows["image"][first] = np.tile(self.frames[first], self.view.stack)

    def save(self) -> dict:
        """Returns how often games were begun anew: they themselves cannot be saved."""
        return {"restarts": self.restarts}

    def load(self, state: dict) -> None:
        """Begins new games everywhere, other ones than before the restart."""
        self.close()
        self.begin(state["restarts"] + 1)

    def close(self) -> None:
        """Ends the threads."""
        self.pool = None


def options(task: Task, view: View, envs: int, workers: int) -> dict[str, int | float | bool]:
    """Returns every option of envpool but game and seeds, so that no default of its decides."""
    return {
        "num_envs": envs,
        "batch_size": envs,
        "num_threads": max(1, workers),
        "thread_affinity_offset": -1,  # None.
        "max_num_players": 1,
        "gym_reset_return_info": True,
        "max_episode_steps": task.cap // task.frame_skip,
        "frame_skip": task.frame_skip,
        "noop_max": task.noops[1],
        "repeat_action_probability": task.sticky,
        "full_action_space": task.actions == "full",
        "mode": -1,  # The game's own, as with ale.
        "difficulty": -1,  # The same.
        "img_height": view.size[0],
        "img_width": view.size[1],
        "gray_scale": view.color == "gray",
        "use_inter_area_resize": True,
        "stack_num": 1,
        "reward_clip": False,
        "episodic_life": False,
        "zero_discount_on_life_loss": False,
        "use_fire_reset": False,
    }


def require_honoured(game: str, task: Task, view: View, training: bool) -> None:
    """Raises unless envpool can play this to the letter.

    Raises:
        ValueError: one line for every setting that it cannot honour.
    """
    large = view.size[0] > SCREEN[0] or view.size[1] > SCREEN[1]
    steps, rest = divmod(task.cap, task.frame_skip)
    known = games.load(game).envpool_id != ""
    screen = emulators.make(game, task.actions, False, "shape").screen().shape if known else SCREEN
    problems = {
        f"game: saw {game!r}; envpool does not have it": not known,
        f"game: saw {game!r}, which draws {screen}; envpool reads {SCREEN}": screen != SCREEN,
        f"task.pooling: saw {task.pooling}; allowed is 2": task.pooling != 2,
        f"task.noops: saw {list(task.noops)}; allowed is [1, n]": task.noops[0] != 1,
        f"task.cap: saw {task.cap}; allowed are multiples of frame_skip ({task.frame_skip}) of at "
        f"most {MOST_STEPS} agent steps": rest or steps > MOST_STEPS,
        "task.quirks.stale_first_frame: saw true; allowed is false": task.quirks.stale_first_frame,
        f"view.resize: saw {view.resize!r}; allowed is 'area'": view.resize != "area",
        f"view.size: saw {list(view.size)}; allowed is at most {list(SCREEN)}": large,
        "view.fire: saw true; allowed in training is false": training and view.fire,
    }
    found = [f"- {problem}" for problem, is_so in problems.items() if is_so]
    if found:
        raise ValueError("\n".join(["backend envpool cannot honour (backend ale can):", *found]))
