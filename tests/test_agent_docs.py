"""docs/agents: a page for every Dreamer, with every number of its YAML and every metric it logs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from suites.records import read_scalar
from tests.agents import toys

ROOT = Path(__file__).parents[1]
NAMES = [name for name in agents.names() if name.startswith("dreamerv")]


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
    assert "danijar/" in text or "arXiv" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_explains_every_metric_that_is_logged(name: str) -> None:
    agent = toys.little(name, "debug")
    agent.train((), toys.served(agent, np.random.default_rng(0)), 0.5)
    logged = {key for key in agent.metrics() if key.startswith(("loss/", "train/"))}
    assert logged
    explained = page(name).split("## Metrics")[1]
    assert {metric for metric in logged if f"`{metric}`" not in explained} == set()
