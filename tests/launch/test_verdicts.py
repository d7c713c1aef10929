"""The verbs about published results, as they are typed."""

import csv
import json
import os
import subprocess
import sys
from typing import get_args

import pytest

import suites
from analysis import aggregates, decision, grids
from analysis.references import baselines
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


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Returns a folder with 26 games x 3 seeds of `mine` and `theirs`, imported."""
    monkeypatch.chdir(tmp_path)
    for name, shift in (("mine", 0), ("theirs", 5_000)):
        lines = [
            f"{name},{game},{seed},395000,{shift + 10 * seed}"
            for game in suites.load("atari100k").games for seed in range(3)
        ]  # fmt: skip
        file = tmp_path / f"{name}.csv"
        file.write_text("\n".join(["agent,game,seed,frame,return", *lines]) + "\n")
        assert cli.main(["import", str(file), "--suite", "atari100k", "--as", name]) == 0
    return tmp_path


def test_aggregates_are_printed_for_other_programs_and_notes_go_elsewhere(imported, capsys):
    capsys.readouterr()
    words = ["aggregate", "--suite", "atari100k", "--agents", "mine,theirs", "--format", "csv"]
    assert cli.main([*words, "--resamples", "200"]) == 0
    said = capsys.readouterr()
    rows = list(csv.DictReader(said.out.splitlines()))
    assert len(rows) == 12
    assert all(float(row["low"]) <= float(row["estimate"]) <= float(row["high"]) for row in rows)
    assert "note: mine: few seeds" in said.err
    assert cli.main([*words, "--from", str(imported / "nowhere")]) == 2
    assert "there are: none" in capsys.readouterr().err


def test_rliable_and_our_engine_print_the_same_estimates_and_nearly_the_same_ends(imported, capsys):
    tables = []
    for engine in ("bootstrap", "rliable"):
        capsys.readouterr()
        words = ["aggregate", "--suite", "atari100k", "--agents", "mine", "--format", "csv"]
        assert cli.main([*words, "--engine", engine, "--resamples", "300"]) == 0
        tables.append(list(csv.DictReader(capsys.readouterr().out.splitlines())))
    for ours, theirs in zip(*tables, strict=True):
        assert ours["estimate"] == theirs["estimate"]
        width = float(ours["high"]) - float(ours["low"])
        assert abs(float(ours["low"]) - float(theirs["low"])) <= 0.3 * width
        assert abs(float(ours["high"]) - float(theirs["high"])) <= 0.3 * width


@pytest.mark.parametrize(
    ("agent", "published", "code", "word"),
    [("mine", "theirs", 1, "NOT REPRODUCED"), ("theirs", "mine", 0, "BETTER")],
)
def test_a_comparison_ends_with_a_code_for_other_programs(
    imported, capsys, agent, published, code, word
):
    words = ["compare", "--ours", "atari100k", "--agent", agent, "--published", published]
    assert cli.main([*words, "--plan"]) == code
    said = capsys.readouterr()
    assert f"{agent} against {published}: {word}" in said.out
    assert "SEEDS FOR 80%" in said.out
    kept = imported / "results" / "atari100k" / "verdicts" / f"{agent}~import-{published}.json"
    assert json.loads(kept.read_text())["verdict"] == word.lower()


def test_the_verbs_offer_what_there_is_and_default_to_what_is_documented():
    words = {
        "aggregate": ["--suite", "demo", "--agents", "ppo"],
        "compare": ["--ours", "demo", "--published", "ppo"],
    }
    asked = {verb: cli.parser().parse_args([verb, *more]) for verb, more in words.items()}
    assert asked["compare"].margin == decision.MARGIN
    for verb, more in words.items():
        assert asked[verb].human == baselines.STANDARD
        for form in grids.FORMS:
            assert cli.parser().parse_args([verb, *more, "--format", form]).format == form
    for engine in get_args(aggregates.Engine):
        found = cli.parser().parse_args(["aggregate", *words["aggregate"], "--engine", engine])
        assert found.engine == engine


@pytest.mark.parametrize(
    ("agent", "published", "code"), [("mine", "theirs", 1), ("theirs", "mine", 0)]
)
def test_a_verdict_keeps_its_code_where_nobody_reads_it(imported, agent, published, code):
    words = ["compare", "--ours", "atari100k", "--agent", agent, "--published", published, "--plan"]
    reader, writer = os.pipe()
    os.close(reader)  # As `head -0` does.
    program = "import sys; from launch import cli; sys.exit(cli.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], stdout=writer, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_seeds_are_planned_before_any_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["compare", "--ours", "atari100k", "--published", "dreamerv3"]
    assert cli.main(words) == 2
    assert cli.main([*words, "--plan"]) == 3  # No verdict yet.
    assert "no run of dreamerv3 has finished" in capsys.readouterr().out


def test_a_comparison_that_is_refused_ends_with_two(imported, capsys):
    words = ["compare", "--ours", "atari100k", "--agent", "mine", "--published", "mein"]
    assert cli.main(words) == 2
    assert "no scores of a method 'mein' are known for atari100k" in capsys.readouterr().err
