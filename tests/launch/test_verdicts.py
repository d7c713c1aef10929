"""The verbs about published results, as they are typed."""

import pytest

from launch import cli


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["references", *words]) == 0
    return capsys.readouterr().out


def test_alone_it_lists_the_methods_of_both_suites(capsys):
    lines = said(capsys).splitlines()
    assert lines[0].split()[:3] == ["SUITE", "METHOD", "GAMES"]
    assert sum(line.startswith("atari100k ") for line in lines) == 42
    assert sum(line.startswith("atari57 ") for line in lines) == 28


def test_a_suite_lists_only_its_own(capsys):
    shown = said(capsys, "atari57", "--format", "csv").splitlines()
    assert len(shown) == 1 + 28
    assert all(line.startswith("atari57,") for line in shown[1:])


def test_a_method_is_shown_game_by_game(capsys):
    shown = said(capsys, "atari100k", "iris")
    assert shown.startswith("IRIS, atari100k\n")
    rows = [line.split()[1] for line in shown.splitlines() if line.startswith("crazy_climber ")]
    assert rows == ["59324.2", "59234"]


def test_aggregates_are_held_against_the_printed_ones(capsys):
    shown = said(capsys, "atari100k", "efficientzero_v2", "--check", "--format", "md")
    assert "| mean | 2.428 | 2.6797 | +0.2517 | differs |" in shown
    assert "0 of 2 are the same" in shown
    assert "No aggregate of it is known" in said(capsys, "atari100k", "tcsr", "--check")
