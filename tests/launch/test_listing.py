"""Listings: complete, aligned, and with commands that are right."""

import re

import pytest

import agents
import suites
from launch import config, listing
from suites import games


def columns(text: str) -> list[list[str]]:
    """Returns the cells of the first table in a text: columns are two blanks apart."""
    lines = text.split("\n\n")[0].splitlines()
    return [re.split(r"\s{2,}", line) for line in lines]


def test_a_table_is_aligned_with_numbers_flush_right():
    text = listing.table(["name", "n"], [["a", "1"], ["long name", "1,000"]], [1])
    assert text.splitlines() == ["NAME           N", "a              1", "long name  1,000"]


def test_every_suite_is_listed_with_its_size():
    rows = columns(listing.suites())
    assert [row[0] for row in rows[1:]] == suites.names()
    table = {row[0]: row for row in rows}
    assert table["atari57"][1:4] == ["57", "5", "200,000,000"]
    assert {len(row) for row in rows} == {7}


@pytest.mark.parametrize("name", suites.names())
def test_a_suite_is_told_in_full(name):
    suite, text = suites.load(name), listing.suites(name)
    for game in suite.games:
        assert re.search(rf"^{game} +\d+ ", text, re.MULTILINE)
    said = [suite.source, f"{suite.frames:,}", suite.task_digest, suite.score.window]
    assert [part for part in said if part not in text] == []


def test_games_without_a_human_score_are_named():
    text = " ".join(listing.suites("atari62").split())
    without = [game for game in suites.load("atari62").games if games.load(game).human is None]
    assert f"are normalised: {', '.join(without)}" in text
    assert "no human score" not in listing.suites("demo")


def test_the_full_action_set_is_counted_where_a_task_uses_it():
    assert re.search(r"^skiing +9 ", listing.suites("atari57"), re.MULTILINE)
    assert re.search(r"^skiing +3 ", listing.suites("atari62"), re.MULTILINE)


def test_every_agent_is_listed_with_its_blocks():
    rows = {row[0]: row for row in columns(listing.agents())[1:]}
    assert list(rows) == agents.names()
    assert rows["ppo"][3] == ", ".join(agents.blocks("ppo"))


@pytest.mark.parametrize("name", agents.names())
def test_an_agent_is_told_with_every_setting_and_what_each_block_changes(name):
    text = listing.agents(name)
    settings = agents.settings(name, "", [])
    assert [key for key in listing._leaves(settings) if f"\n{key} " not in text] == []
    assert [block for block in agents.blocks(name) if f"+{block}".upper() not in text] == []


def test_a_value_is_shown_as_set_takes_it():
    assert re.search(r"^adam_eps +1\.0e-05", listing.agents("ppo"), re.MULTILINE)


def test_a_typo_gets_the_nearest_match():
    with pytest.raises(ValueError, match=r"did you mean 'demo'\?"):
        listing.suites("dmo")
    with pytest.raises(ValueError, match=r"did you mean 'random'\?"):
        listing.agents("randon")


def test_the_commands_that_a_listing_teaches_are_right():
    texts = [listing.suites(), listing.agents(), *map(listing.agents, agents.names())]
    found = re.findall(r"reverie run (.+)", "\n".join(texts))
    assert len(found) >= 3
    for words in map(str.split, found):
        options = dict(zip(words[1::2], words[2::2], strict=True))
        label = "+".join([words[0], *([options["--block"]] if "--block" in options else [])])
        sets = [options["--set"]] if "--set" in options else []
        suite, game, seed = (options[key] for key in ("--suite", "--game", "--seed"))
        assert config.resolve(suite, label, game, int(seed), sets=sets).game == game
