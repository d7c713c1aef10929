"""Dreamer v3's published sizes and initial weights beside the official program's.

Source of the numbers: danijar/dreamerv3@e3f0224 with JAX 0.4.33; tests/parity/golden/README.md.
"""

import math

import pytest
import torch

import agents
from tests.agents import toys
from tests.parity import golden
from tests.parity import official_v3 as official
from tests.parity.official_v3 import AGENT


def networks(block, shape, actions, **changes):
    """Returns networks whose numbers are nowhere, however many there are."""
    agent = agents.load(AGENT).Agent.__new__(agents.load(AGENT).Agent)
    agent.config = agents.configure(AGENT, "none", [block], changes)
    agent.actions, agent.shape = actions, shape
    with torch.device("meta"):
        return agent.build()


def numbers(layers):
    return sum(param.numel() for layer in layers for param in layer.parameters())


@pytest.mark.parametrize("block", ["1m", "12m", "25m", "50m", "100m", "200m", "400m"])
def test_a_size_has_the_official_numbers_of_parameters(block):
    sizes = golden.config(AGENT, "sizes.json")
    assert {name for name in sizes if name[0] != "_"} <= set(agents.blocks(AGENT))
    for variant, wanted in sizes[f"size{block}"].items():
        size, actions = variant.removesuffix("actions").split("_")
        shape = tuple(map(int, size.split("x")))
        found = official.modules(networks(f"size{block}", shape, int(actions)))
        of = {
            part: [each for name, each in found.items() if name.startswith(f"{part}/")]
            for part in official.LEARNT
        }
        counts = {part: numbers(layers) for part, layers in of.items()}
        total = sum(counts.values())
        slow = counts["val"]
        counts |= {"slowval": slow, "trained_total": total, "total_incl_slow": total + slow}
        assert counts == wanted, variant


def test_the_defaults_are_the_published_size_for_both_benchmarks():
    names = ("deter", "hidden", "classes", "depth", "units", "latents", "groups")
    wanted = agents.settings(AGENT, "none", ["size200m"])
    for suite in ("none", "atari100k", "atari57"):
        found = agents.settings(AGENT, suite, [])
        assert {name: found[name] for name in names} == {name: wanted[name] for name in names}


def test_initial_weights_have_the_official_shapes_and_statistics():
    about = golden.config(AGENT, "init_stats.json")
    block, image, actions = about["_about"]["config"].split(", ")[:3]
    shape = tuple(map(int, image.split()[1].split("x")))
    config = agents.configure(AGENT, "none", [block, "float32"])
    agent = toys.built(AGENT, config, shape, int(actions.split()[0]), 0)
    found = official.weights(agent)
    slow = {name: found.pop(name) for name in list(found) if name.startswith("slowval/")}
    assert all(torch.equal(each, found[name.removeprefix("slow")]) for name, each in slow.items())
    wanted = {k: each for k, each in about["tensors"].items() if not k.startswith("slowval/")}
    assert {k: list(each.shape) for k, each in found.items()} == {
        k: each["shape"] for k, each in wanted.items()
    }
    for name, each in wanted.items():
        mine = found[name].double()
        if "expected_std" not in each or not each["expected_std"]:
            assert (mine == each["mean"]).all() and each["std"] == 0, name
            continue
        # Four standard errors, of a distribution that is narrower than a normal one.
        std, root = each["expected_std"], math.sqrt(mine.numel())
        assert abs(mine.mean()) <= 4 * std / root, name
        assert abs(mine.std() / std - 1) <= 4 * 0.6 / root + 1e-4, name
        assert mine.abs().max() <= each["expected_abs_max"] * (1 + 1e-4), name
        assert mine.numel() < 1000 or mine.abs().max() >= 0.95 * each["expected_abs_max"], name
