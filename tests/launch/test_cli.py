"""The command line teaches, answers typos with the nearest match, and never shows a traceback."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from launch import cli

VERBS = ("run", "evaluate", "play", "dream", "suites", "agents", "report", "sync", "export")
VERBS += ("estimate", "status", "attach", "cancel", "doctor", "import", "references")
RUN = ("run", "ppo", "--suite", "demo", "--game", "pong", "--seed", "0")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def reverie(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Calls the command in an empty folder, where it must leave nothing."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Answer:
        try:
            code = cli.main(words)
        except SystemExit as left:
            code = left.code
        assert list(tmp_path.iterdir()) == []
        return Answer(code, *capsys.readouterr())

    return call


def test_alone_it_shows_its_help_and_fails(reverie) -> None:
    answer = reverie()
    assert answer.code == 2
    assert answer.err == cli.parser().format_help()


def test_help_names_every_verb_and_commands_to_copy(reverie) -> None:
    answer = reverie("--help")
    assert answer.code == 0
    listed = [line.split()[0] for line in answer.out.splitlines() if line.startswith("    ")]
    assert {*VERBS} <= {*listed}
    assert "reverie run ppo --suite demo" in answer.out
    assert "snakemake --profile local" in answer.out


def options(verb: str) -> list[argparse.Action]:
    sub = cli.parser()._subparsers._group_actions[0].choices[verb]
    return [action for action in sub._actions if not isinstance(action, argparse._HelpAction)]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_every_option_in_lines_that_fit(reverie, verb: str) -> None:
    answer = reverie(verb, "--help")
    assert answer.code == 0
    for action in options(verb):
        assert action.help or action.required, action.dest
        assert (action.option_strings or [action.metavar or action.dest])[-1] in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_the_help_of_run_teaches_how_to_stop_go_on_and_change_settings(reverie) -> None:
    text = reverie("run", "--help").out
    for taught in ("Repeat the command", "75", "SIGTERM", "stop", "results/", "runs/debug/"):
        assert taught in text
    assert "reverie run ppo --suite demo --game pong --seed 0\n" in text
    assert "--set learning_rate=1.0e-4 training.streams=4" in text


def test_the_commands_in_the_help_are_ones_that_it_takes(reverie) -> None:
    texts = [reverie(*verb, "--help").out for verb in [(), *((verb,) for verb in VERBS)]]
    lines = "\n".join(texts).replace("\\\n", " ").splitlines()
    commands = [line.split("   ")[0].split() for line in map(str.strip, lines)]
    commands = [words[1:] for words in commands if words[:1] == ["reverie"]]
    assert len(commands) > 10
    for words in commands:
        cli.parser().parse_args(words)  # Leaves when it does not take them.


# What is typed, and what the answer must hold.
TYPOS = {
    ("rnu",): "did you mean 'run'?",
    ("evalaute", "x"): "did you mean 'evaluate'?",
    (*RUN, "--frmaes", "1"): "did you mean '--frames'?",
    (*RUN, "--frmaes=1"): "did you mean '--frames'?",
    (
        "run",
        "ppo",
        "--siute",
        "demo",
        "--game",
        "pong",
    ): "--siute is unknown; did you mean '--suite'",
    ("run", "--set", "clip=0.2", "ppo", *RUN[2:]): "--set takes every word up to the next option",
    (*RUN, "--tracking", "spol"): "did you mean 'spool'?",
    (*RUN, "--backend", "envpol"): "did you mean 'envpool'?",
    (*RUN, "--set", "lerning_rate=1.0"): "did you mean 'learning_rate'?",
    ("run", "pppo", *RUN[2:]): "did you mean 'ppo'?",
    ("run", "ppo", "--suite", "dmo", *RUN[4:]): "did you mean 'demo'?",
    ("run", "ppo", "--suite", "demo", "--game", "pogn", "--seed", "0"): "did you mean 'pong'?",
    ("evaluate", "x", "--epsiodes", "3"): "did you mean '--episodes'?",
    ("evaluate", "x", "--weights", "fianl"): "did you mean 'final'?",
    ("play", "x", "--windw"): "did you mean '--window'?",
    ("suites", "deom"): "did you mean 'demo'?",
    ("agents", "dreamr_ppo"): "did you mean 'dreamer_ppo'?",
    ("estimate", "atari1000k"): "did you mean 'atari100k'?",
    ("estimate", "demo", "--agents", "pppo"): "did you mean 'ppo'?",
    ("estimate", "demo", "--max-huors", "3"): "did you mean '--max-hours'?",
    ("report", "atari1000k"): "did you mean 'atari100k'?",
    ("references", "atari10k"): "did you mean 'atari100k'?",
    ("references", "atari100k", "dremerv3"): "did you mean 'dreamerv3'?",
    ("references", "atari57", "--chekc"): "did you mean '--check'?",
    ("import", "x", "--suite", "demo", "--as", "y", "--format", "ofical"): "mean 'official'?",
    ("export", "x", "--tensorbord"): "--tensorbord is unknown; did you mean '--tensorboard'",
}


@pytest.mark.parametrize("words", TYPOS, ids=" ".join)
def test_a_typo_gets_the_nearest_match_and_code_2(reverie, words: tuple[str, ...]) -> None:
    answer = reverie(*words)
    assert answer.code == 2
    assert TYPOS[words] in answer.err
    assert answer.out == ""


# What is refused, and what the answer must hold.
REFUSED = {
    (*RUN[:-1], "-1"): "whole number from 0",
    (*RUN[:-1], "one"): "'one'",
    (*RUN, "--frames", "0"): "above 0",
    (*RUN, "--block", "nothing"): "unknown block 'nothing'",
    (*RUN, "--set", "clip"): "key=value",
    ("run", "ppo", "--suite", "demo", "--game", "alien", "--seed", "0"): "not in suite demo",
    ("evaluate",): "required: RUN",
    ("evaluate", "nowhere"): "there is no such folder",
    ("evaluate", "."): "is not a run folder",
    ("evaluate", "nowhere", "--episodes", "0"): "whole number from 1",
    ("evaluate", "nowhere", "--greedy", "--sampled"): "not allowed with",
    ("evaluate", "nowhere", "elsewhere"): "unrecognized arguments: elsewhere",
    ("play", "nowhere"): "there is no such folder",
    ("play", "nowhere", "--out", "x.gif"): "allowed is .mp4",
    ("play", "nowhere", "--window", "--out", "x.mp4"): "not allowed with",
    ("dream", "nowhere"): "there is no such folder",
    ("dream", "nowhere", "--steps", "0"): "whole number from 1",
    ("estimate", "demo", "--parallel", "0"): "whole number from 1",
    ("estimate", "demo", "--measure", "0"): "whole number from 1",
    ("sync", "nowhere"): "nowhere",
    ("export", "nowhere", "--tensorboard"): "no run folder",
    ("export", "nowhere"): "required: --tensorboard",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_bad_input_is_refused_in_one_line(reverie, words: tuple[str, ...]) -> None:
    answer = reverie(*words)
    assert answer.code == 2
    assert REFUSED[words] in answer.err
    first, *rest = answer.err.splitlines()
    assert first.startswith(f"reverie {words[0]}: ")
    assert rest in ([], [f"Try 'reverie {words[0]} --help'."])


def test_an_interrupt_is_said_and_not_shown_as_an_error(
    reverie, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str | None) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("launch.listing.suites", interrupted)
    answer = reverie("suites")
    assert (answer.code, answer.err) == (130, "reverie suites: interrupted\n")


def command(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "launch.cli", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, **more)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    line = f"{sys.executable} -m launch.cli suites atari57 | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_exit_codes_reach_the_shell() -> None:
    assert command("suites").returncode == 0
    assert command("suites", "deom").returncode == 2
    assert command("rnu").returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("run", "--help"),
        ("suites",),
        ("agents",),
        ("estimate", "demo"),
        ("references",),
    ],
)
def test_help_and_listings_load_nothing_heavy(words: tuple[str, ...]) -> None:
    program = (
        "import sys\nfrom launch import cli\n"
        "try:\n    cli.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'matplotlib', 'snakemake', 'av', 'ale_py'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    line = [sys.executable, "-c", program, *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_evaluate_and_play_go_from_words_to_files(
    finished: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--workers", "0", "--device", "cpu", "--episodes", "3", "--seed", "2", "--greedy"]
    assert cli.main(["evaluate", str(run), "--weights", "best", *words]) == 0
    assert (run / "evaluations" / "best-greedy-3-2.json").is_file()
    assert "random, measured" in capsys.readouterr().out
    assert cli.main(["play", str(run), "--max-frames", "30", "--out", str(run / "x.mp4")]) == 0
    assert (run / "x.mp4").is_file()
    assert str(run / "x.mp4") in capsys.readouterr().out
