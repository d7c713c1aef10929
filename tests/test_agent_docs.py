"""docs/agents: a page for every agent, with every number of its YAML and every metric it logs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from suites.records import read_scalar
from tests.agents import toys

ROOT = Path(__file__).parents[1]
NAMES = agents.names()


def page(name: str) -> str:
    return (ROOT / "docs" / "agents" / f"{name}.md").read_text()


def leaves(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inside = isinstance(value, dict)
        found |= leaves(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return found


def rows(text: str) -> dict[str, list[str]]:
    """Returns the cells of every table row that begins with a name in code."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) >= 3:
            found[cells[0].strip("`")] = cells[1:]
    return found


def learnt(name: str) -> Any:
    """Returns an agent after an update, or as it is if it does not learn."""
    rng = np.random.default_rng(0)
    if name.startswith("dreamerv"):
        agent = toys.little(name, "debug")
        agent.train((), toys.served(agent, rng), 0.5)
        return agent
    if name == "random":
        return toys.built(name, agents.configure(name, "none", [], {}), (64, 64, 1), 4, 0)
    agent = toys.small(name)
    agent.train((), toys.rollout(agent, rng), 0.5)
    return agent


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_every_number_of_the_settings_and_its_source(name: str) -> None:
    wanted, found = leaves(agents.settings(name, "none", [])), rows(page(name))
    assert set(wanted) <= set(found)
    for key, value in wanted.items():
        text, source = found[key][0], found[key][1]
        shown = str(value).replace("'", "") if isinstance(value, list) else read_scalar(text, key)
        assert shown == (text if isinstance(value, list) else value), key
        assert source, f"{key} has no source"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_every_block(name: str) -> None:
    text = page(name)
    sizes = [block for block in agents.blocks(name) if block.startswith("size")]
    named = [block for block in agents.blocks(name) if f"`{block}`" not in text]
    assert set(named) <= set(sizes[1:-1]), "sizes may be a range"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_tells_its_sources_and_deviations(name: str) -> None:
    text = page(name)
    assert "## Deviations" in text
    assert "Sources:" in text
    assert any(each in text for each in ("danijar/", "arXiv", "et al."))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_explains_every_metric_that_is_logged(name: str) -> None:
    logged = {key for key in learnt(name).metrics() if key.startswith(("loss/", "train/"))}
    assert logged or name == "random"
    explained = page(name).split("## Metrics")[1]
    assert {metric for metric in logged if f"`{metric}`" not in explained} == set()
