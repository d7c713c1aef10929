"""What has become of a cluster job, from marker, squeue and sacct; which jobs share an array."""

import json
import math
import signal
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import bucket, queue, runner, slurm, submission
from snakemake_executor_plugin_submitit.ledger import Entry, Ledger
from snakemake_executor_plugin_submitit.settings import check_delay
from snakemake_interface_common.exceptions import WorkflowError

GRACE = 60.0


@pytest.mark.parametrize(
    ("marker", "seen", "quiet", "wanted"),
    [
        ({"code": 0}, "RUNNING", 0, ("success", "")),
        ({"code": 0}, "NODE_FAIL", 99, ("success", "")),
        ({"code": 2}, "COMPLETED", 0, ("failed", "exit status 2")),
        ({"code": -9}, None, 0, ("failed", "killed (out of memory?)")),
        ({"code": -11}, None, 0, ("failed", "signal 11")),
        ({}, "PENDING", 0, ("queued", "")),
        ({}, "RUNNING", 999, ("running", "")),
        ({}, "", 999, ("running", "Slurm does not answer")),
        ({}, "PREEMPTED", 5, ("running", "preempted, and not requeued")),
        ({}, "NODE_FAIL", 61, ("failed", "its node failed")),
        ({}, "OUT_OF_MEMORY", 61, ("failed", "out of memory")),
        ({}, "CANCELLED", 5, ("running", "cancelled")),
        ({}, "CANCELLED", 61, ("cancelled", "cancelled")),
        ({}, "COMPLETED", 61, ("failed", "completed, and no marker was written")),
        ({}, None, 5, ("running", "no longer known to Slurm")),
        ({}, None, 61, ("lost", "Slurm does not know it, and it left no marker")),
    ],
)
def test_a_marker_is_the_truth_and_without_one_slurm_has_a_grace(marker, seen, quiet, wanted):
    verdict = queue.judge(marker, seen, quiet, GRACE)
    assert (verdict.state, verdict.reason) == wanted
    assert verdict.over == (wanted[0] not in ("queued", "running"))


def test_names_of_waiting_tasks_stand_for_all_of_them():
    assert queue.expand("12") == ["12"]
    assert queue.expand("12_3") == ["12_3"]
    assert queue.expand("12_[3-5,7%2]") == ["12_3", "12_4", "12_5", "12_7"]
    assert queue.expand("12_[0-6:3]") == ["12_0", "12_3", "12_6"]
    lines = ["12_[1-2]|PENDING", "9|CANCELLED by 0", "9.batch|FAILED", "", "8|RUNNING+"]
    wanted = {"12_1": "PENDING", "12_2": "PENDING", "9": "CANCELLED", "8": "RUNNING"}
    assert queue.states(lines) == wanted


DEFAULTS = {"minutes": 60, "partition": "main", "account": "", "qos": "", "gres": ""}


def test_a_job_that_a_node_could_not_start_is_told_from_one_that_somebody_holds():
    lines = ["5_1|PENDING|launch failed requeued held", "5_2|PENDING|JobHeldUser", "6|RUNNING|None"]
    assert queue.held(lines) == ["5_1"]
    assert queue.states(lines) == {"5_1": "PENDING", "5_2": "PENDING", "6": "RUNNING"}


def test_what_runs_out_of_memory_asks_for_more_the_next_time():
    ooms = ["killed (out of memory?)", "out of memory"]
    asked = [bucket.ask(2, {"mem_mb": 1000}, DEFAULTS, ooms[:n]).memory_mb for n in range(3)]
    assert asked == [1000, 1500, 2250]


def test_what_runs_out_of_time_without_saving_asks_for_more_the_next_time():
    late = ["out of time", "exit status 1"]
    assert bucket.ask(1, {"runtime": 10}, DEFAULTS, late).minutes == 15
    assert bucket.ask(1, {}, DEFAULTS, late * 2).minutes == 135


def test_nothing_asks_for_more_time_than_its_partition_gives_unless_it_always_did():
    late, longest = ["out of time"], {"main": 75.0, "": 75.0, "long": math.inf}
    asked = [
        bucket.ask(1, {"runtime": 70} | more, DEFAULTS, late, longest).minutes
        for more in ({}, {"runtime": 80}, {"partition": "long"}, {"partition": "long,main"})
    ]
    assert asked == [75, 80, 105, 75]
    assert bucket.ask(1, {}, {"minutes": 60}, late * 3, longest).minutes == 75


def test_what_partitions_allow_is_read_from_slurm(monkeypatch):
    said = "main*|1-00:30:00\nshort|30:00\nlong|infinite\n"
    monkeypatch.setattr(slurm, "ask", lambda *_: said)
    assert slurm.longest() == {"main": 1470, "": 1470, "short": 30, "long": math.inf}


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", True),
        ("sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission "
         "failed: Requested node configuration is not available", True),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv", False),
        ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy", False),
        ("", False),
    ],
)  # fmt: skip
def test_only_what_will_never_do_is_refused(said: str, refused: bool) -> None:
    assert isinstance(slurm.failure(said), slurm.Refused) is refused


def test_a_rule_says_more_than_the_defaults_and_an_allocation_holds_several():
    ask = bucket.ask(2, {"mem_mb": 500, "gpu": 1, "slurm_partition": "gpu"}, DEFAULTS)
    assert (ask.partition, ask.account, ask.minutes) == ("gpu", None, 60)
    wanted = {"time": 60, "cpus_per_task": 8, "mem": "2000MB", "gpus_per_node": 1}
    assert ask.parameters(4, "gpus-per-node") == wanted | {"partition": "gpu"}


def test_jobs_that_ask_for_the_same_stay_together_in_order():
    one, two = (bucket.ask(n, {}, DEFAULTS) for n in (1, 2))
    assert bucket.grouped([(one, "a"), (two, "b"), (one, "c")]) == {one: ["a", "c"], two: ["b"]}
    assert list(bucket.pieces("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]


def entry(index: int = 0, **changes) -> Entry:
    facts = {"key": "k", "token": "t", "index": index, "slot": 0, "rule": "train", "name": "n",
             "outputs": ["o"], "attempt": 1, "submitted": 1.0}  # fmt: skip
    return Entry(**facts | changes)


def test_a_ledger_is_read_back_as_it_was_written(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.intend([entry(0), entry(1, key="other")])
    assert [each.id for each in Ledger(tmp_path).open()] == ["", ""]
    ledger.submitted("t", ["7_0", "7_1"])
    ledger.end(ledger.entries[0], "failed", "exit status 1")
    found = Ledger(tmp_path)
    assert found.entries == ledger.entries
    assert [(each.id, each.open) for each in found.entries] == [("7_0", False), ("7_1", True)]
    assert found.newest("k").reason == "exit status 1" and found.newest("nothing") is None


def test_a_line_that_a_kill_cut_off_costs_nothing_else(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.intend([entry()])
    ledger.file.close()
    with ledger.path.open("a") as file:
        file.write('{"event": "subm')
    again = Ledger(tmp_path)
    assert len(again.open()) == 1
    again.submitted("t", ["7"])
    assert [each.id for each in Ledger(tmp_path).entries] == ["7"]


def test_only_one_process_writes_a_ledger(tmp_path: Path):
    one, two = Ledger(tmp_path), Ledger(tmp_path)
    one.intend([entry()])
    with pytest.raises(BlockingIOError):
        two.intend([entry()])


def test_a_job_runs_what_has_no_marker_and_says_how_each_command_ended(tmp_path: Path):
    tasks = [
        runner.Task(command, str(tmp_path / f"{n}.json"), str(tmp_path / f"{n}.log"), {"WORD": "w"})
        for n, command in enumerate(["echo $WORD >> made", "echo no; exit 3"])
    ]
    job, before = runner.Job(tasks, str(tmp_path), 10.0), signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match=r"1 of 2 commands failed: \[3\]"):
        job()
    (tmp_path / "0.json").unlink()  # As if the job had been requeued before the first had ended.
    job = runner.Job(tasks, str(tmp_path), 10.0)
    job()
    signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "made").read_text() == "w\nw\n"
    assert (tmp_path / "1.log").read_text() == "no\n", "what has failed is the main process's"
    assert job.checkpoint() is None, "and nothing is left to requeue for"
    codes = [json.loads((tmp_path / f"{n}.json").read_text())["code"] for n in (0, 1)]
    assert codes == [0, 3]
    assert runner.read(tmp_path / "1.json")["log"][-1] == "no"
    assert runner.read(tmp_path / "none.json") == {}


def test_a_submission_is_ready_only_if_every_job_was_told_what_to_do(tmp_path: Path):
    for id in ("12_10", "12_9"):
        (tmp_path / f"{id}_submitted.pkl").touch()
    assert submission.ready(tmp_path, 2) == ["12_9", "12_10"]
    assert submission.ready(tmp_path, 3) == [] == submission.ready(tmp_path / "none", 1)


def test_a_time_limit_that_the_warning_leaves_nothing_of_is_refused():
    check_delay(120, 3, "here")
    with pytest.raises(WorkflowError, match=r"here: saw 2 minutes; .* \(120 s\) before the end"):
        check_delay(120, 2, "here")


def test_commands_get_cores_of_their_own_only_where_slurm_gave_the_job_its_own() -> None:
    bound = {"SLURM_CPUS_PER_TASK": "4"}
    assert runner.shares([0, 1, 4, 5], 2, bound) == [[0, 1], [4, 5]]
    assert runner.shares([0, 1, 4, 5], 4, bound) == [[0], [1], [4], [5]]
    assert runner.shares([0, 1, 4, 5], 3, bound) == [[0, 1, 4, 5]] * 3, "no equal parts"
    assert runner.shares([*range(64)], 2, bound) == [[*range(64)]] * 2, "the whole node is seen"
    assert runner.shares([0, 1], 2, {}) == [[0, 1]] * 2


@pytest.mark.parametrize(
    ("flag", "asked"),
    [
        ("gpus-per-node", {"gpus_per_node": 2, "gres": "lustre:1"}),
        ("gres", {"gres": "lustre:1,gpu:2"}),
    ],
)
def test_devices_are_asked_for_as_the_site_wants(flag: bucket.GpuFlag, asked: dict) -> None:
    ask = bucket.ask(1, {"gpu": 2, "gres": "lustre:1", "mem_mb": 100}, {"minutes": 5})
    found = ask.parameters(3, flag)
    assert {name: found[name] for name in ("gpus_per_node", "gres") if name in found} == asked
    assert found["cpus_per_task"] == 3 and found["mem"] == "300MB"
