"""Vectors of replay and its clocks, of rows, of images and of normalised scores."""

import collections
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import agents
from agents.parts import block_scan
from analysis import aggregates
from suites import games, images
from tests.agents import toys
from tests.agents.vectors import near
from tests.launch import replays


def uniform(block="", **changes):
    """Returns the replay that DreamerV3's settings ask for, with other values for some."""
    config = agents.configure("dreamerv3", "none", [block] if block else [])
    training = config.training.model_copy(update={"storage": "memory"} | changes)
    with tempfile.TemporaryDirectory() as folder:
        return replays.make(training, Path(folder))


def due(feed, rows):
    feed.count = rows // feed.streams
    return feed.due()


def train_ratio_v3(v):
    fast, slow = uniform(), uniform("paper")
    assert (fast.training.ratio, slow.training.ratio) == (256, 128)
    wanted = v["atari100k_ratio256"]
    start = wanted["start"]
    assert due(fast, start - 1) == 0
    assert due(fast, start + 1000) == wanted["N_1000_after_start"]
    assert due(fast, 100_000) == wanted["N_100000"]
    assert due(fast, 110_000) == wanted["N_110000"]
    assert due(slow, 100_000) == v["atari100k_ratio128_at_100000"]
    assert [[rows, due(fast, rows)] for rows, _ in v["first_steps"]] == v["first_steps"]
    many, wanted = uniform("atari57"), v["atari57_16envs_ratio32"]
    assert (many.streams, many.training.ratio) == (16, 32)
    assert due(many, wanted["start"] - 16) == 0 and due(many, wanted["start"]) == 1
    assert due(many, 50_000_000) == wanted["N_50000000"]


def online_queue_v3(v):
    feed = uniform()
    feed.count, starts = 400, v["starts_first_400"]
    assert feed.draw()[: len(starts)].tolist() == [[0, start] for start in starts]
    served = feed.served
    feed.draw()
    assert served == feed.served == len(starts), "each is served once"


class Every:
    """A generator that answers with each whole number in turn."""

    def __init__(self):
        self.turn = 0

    def integers(self, high):
        self.turn += 1
        return (self.turn - 1) % high


def replay_v2_start(v):
    training = replays.EPISODES.model_copy(update={"starts": "ends_weighted", "length": 50})
    with tempfile.TemporaryDirectory() as folder:
        feed = replays.make(training, Path(folder))
    feed.rng = Every()
    draws = v["total"] + 1
    found = collections.Counter(feed.start(v["total"]) for _ in range(draws))
    assert sorted(found) == list(range(v["n"]))
    last = found.pop(v["n"] - 1)
    near(last / draws, v["prob_last"])
    assert {number / draws for number in found.values()} == {v["prob_each_other"]}


def prev_action(v):
    small = {"deter": 16, "hidden": 4, "classes": 2, "latents": 2, "groups": 2, "depth": 1}
    small |= {"units": 4, "training.batch": 1, "training.length": len(v["rows_trained"])}
    small |= {"view.size": [16, 16], "precision": "float32"}
    config = agents.configure("dreamerv3", "none", [], small)
    agent = toys.built("dreamerv3", config, (16, 16, 3), v["n_actions"], 0)
    count, flags = len(v["stored_action"]), {}
    for name in ("is_first", "is_last"):
        flags[name] = torch.tensor(v[name])[None].bool()
    data = {
        "image": torch.zeros(1, count, 16, 16, 3, dtype=torch.uint8),
        "action": torch.tensor(v["stored_action"])[None],
        "reward": torch.zeros(1, count),
        "is_terminal": flags["is_last"],
        "deter": torch.ones(1, 1, 16),
        "stoch": torch.zeros(1, 1, 2, dtype=torch.uint8),
        **flags,
    }
    model, calls = agent.networks["model"], []
    step, observe = model.step, block_scan.observe

    def recorded(deter, stoch, action):
        calls.append((deter, stoch, action))
        return step(deter, stoch, action)

    model.step, block_scan.observe = recorded, block_scan.plain_observe
    try:
        agent.filter(data, lambda probs, row: probs.argmax(-1))
    finally:
        model.step, block_scan.observe = step, observe
    assert [action[0].int().tolist() for *_, action in calls] == v["prev_action_onehot"]
    zeroed = [not deter.any() and not stoch.any() for deter, stoch, _ in calls]
    assert zeroed[: len(v["state_reset_before_row"])] == v["state_reset_before_row"]


def hns_atari100k_v3(v):
    def plain(name):
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

    known = {plain(name): given for name, given in v["constants"].items()}
    for name, given in known.items():
        game = games.load(name)
        assert (game.random, game.human) == (given["random"], given["human"]), name
    scores = pd.DataFrame(
        [{"agent": "v3", "game": name, "seed": 0, "score": each["score"]}
         for name, each in known.items()]
    )  # fmt: skip
    scales = {name: (each["random"], each["human"]) for name, each in known.items()}
    rows = aggregates.normalise(scores, scales)
    found = dict(zip(rows["game"], rows["normalised"], strict=True))
    for name, wanted in v["hns"].items():
        near(found[plain(name)], wanted)
    assert sum(number > 1 for number in found.values()) == v["superhuman"]
    median, mean, iqm, _ = aggregates.estimate(rows["normalised"].to_numpy()[None])
    near(median, v["median"])
    near(mean, v["mean"])
    near(iqm, v["iqm_over_game_means_25pct_trim_floor"])


def resize(v):
    y, x = np.mgrid[:210, :160]
    screen = np.stack([y * 255 // 209, x * 255 // 159, (7 * y + 13 * x) % 256], -1)
    screen = screen.astype(np.uint8)
    found = images.resizer("bilinear", (64, 64))(screen)
    assert [found[row, col].tolist() for row, col in v["points"]] == v["pillow_bilinear"]
    near(found.reshape(-1, 3).mean(0), v["pillow_mean"])
    area = images.resizer("area", (64, 64))(screen)
    assert [area[row, col].tolist() for row, col in v["points"]] == v["cv2_area"]
    near(area.reshape(-1, 3).mean(0), v["cv2_area_mean"], rtol=1e-4)
    off = np.abs(found.astype(int) - area.astype(int)).mean()
    near(off, v["mean_abs_diff_pillow_vs_area"], rtol=1e-3)
    plain = v["cv2_linear_no_antialias"]  # No view here shrinks without antialiasing.
    assert [found[row, col].tolist() for row, col in v["points"]] != plain


def grayscale_v3(v):
    colours = np.asarray(v["colours"], np.uint8)[None]
    assert images.gray(colours)[0].tolist() == v["gray"]
