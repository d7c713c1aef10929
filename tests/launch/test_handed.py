"""What was handed to Slurm, with a made-up squeue and scancel on PATH."""

import os
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import runner
from snakemake_executor_plugin_submitit.ledger import Entry, Ledger

from launch import handed, status, sweeps
from launch.parser import Parser
from tests.cluster import slurm

SQUEUE = """#!/bin/sh
echo "7_0|RUNNING|None"
echo "7_1|PENDING|Priority"
echo "9|COMPLETED|None"
"""
SCANCEL = """#!/bin/sh
echo "$@" >> scancelled
"""


def entry(receipt: str, token: str, index: int = 0, slot: int = 0) -> Entry:
    return Entry(
        key=receipt, token=token, index=index, slot=slot, rule="train", name=receipt,
        outputs=[f"results/{receipt}.json"], attempt=1, submitted=0.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A ledger: two runs share job 7_0, one waits, one has ended, one is being handed over."""
    monkeypatch.chdir(tmp_path)
    held = Ledger(tmp_path / "jobs")
    held.intend(
        [entry("smoke/ppo/pong/0", "a"), entry("smoke/ppo/pong/1", "a", 0, 1),
         entry("demo/ppo/pong/0", "a", 1)]
    )  # fmt: skip
    held.submitted("a", ["7_0", "7_1"])
    held.intend([entry("smoke/random/pong/0", "b")])
    held.submitted("b", ["9"])
    held.intend([entry("smoke/random/pong/1", "c")])
    held.file.close()
    with slurm.on_path(
        tmp_path / "bin", {"squeue": SQUEUE, "scancel": SCANCEL}, dict(os.environ)
    ) as env:
        monkeypatch.setenv("PATH", env["PATH"])
        yield held.folder


def states(folder: Path) -> list[tuple[str, str]]:
    jobs = handed.Handed(folder, pytest.fail)
    return [jobs.verdict(each) for each in jobs.ledger.entries]


def test_a_job_is_what_slurm_says_and_what_it_left(folder: Path) -> None:
    assert states(folder) == [
        ("running", ""), ("running", ""), ("queued", ""),
        ("failed", "completed, and no marker was written"), ("queued", "being handed to Slurm"),
    ]  # fmt: skip
    held = Ledger(folder)
    runner.write(held.marker(held.entries[3]), 0, [])
    assert states(folder)[3] == ("success", "")


def test_everything_is_cancelled_also_what_has_no_id_yet_and_not_what_has_ended(
    folder: Path,
) -> None:
    found = handed.cancel([], folder, pytest.fail)
    assert [line.split()[-1] for line in found] == ["7_0", "7_0", "7_1"]
    assert Path("scancelled").read_text() == "7_0 7_1\n--name=c\n"
    ended = [each.ended for each in Ledger(folder).entries]
    assert ended == ["cancelled"] * 3 + ["", ""]


def test_runs_of_one_name_in_two_suites_are_told_apart(folder: Path) -> None:
    handed.cancel(["demo/ppo/pong/0"], folder, pytest.fail)
    assert Path("scancelled").read_text() == "7_1\n"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["ppo/pong/1"], "ppo/pong/1 and ppo/pong/0 share job 7_0: name all of them"),
        (["ppo/pnog/0"], "'ppo/pnog/0' is not queued or running; did you mean 'ppo/pong/0'"),
        (["random/pong/0"], r"not queued or running.* \(these are: ppo/pong/0, ppo/pong/1\)"),
    ],
)
def test_what_cannot_be_cancelled_alone_or_at_all_is_refused(folder: Path, names, said) -> None:
    with pytest.raises(ValueError, match=said):
        handed.cancel(names, folder, pytest.fail)
    assert not Path("scancelled").exists()


def test_a_main_process_that_lives_writes_down_itself_what_was_cancelled(folder: Path) -> None:
    main = Ledger(folder)
    main.begin(["snakemake"])
    handed.cancel([], folder, pytest.fail)
    assert Path("scancelled").exists() and all(each.open for each in Ledger(folder).entries)


def test_a_run_that_went_on_without_slurm_is_judged_by_its_own_files(folder: Path) -> None:
    held = Ledger(folder)
    held.end(held.entries[0], "failed", "exit status 1")
    run = Path("runs/smoke/ppo/pong/0")
    run.mkdir(parents=True)
    (run / "metrics.jsonl").touch()
    later = held.entries[0].finished + 1
    os.utime(run / "metrics.jsonl", (later, later))
    assert not status.concerns(held.entries[0], run)
    os.utime(run / "metrics.jsonl", (1.0, 1.0))
    assert status.concerns(held.entries[0], run)


def test_the_folder_of_the_executor_can_be_another(folder: Path, capsys) -> None:
    parser = Parser()
    sweeps.add(parser.add_subparsers())
    args = parser.parse_args(["cancel", "--all", "--folder", str(folder)])
    args.verb(args)
    assert "ppo/pong/0  job 7_1" in capsys.readouterr().out
