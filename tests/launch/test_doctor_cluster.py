"""What `reverie doctor` makes of what scontrol and sacctmgr print."""

import math
from collections.abc import Iterator

import pytest
from snakemake_executor_plugin_submitit import slurm

from launch.doctor import accounts, cluster
from launch.doctor.finding import Finding

CONFIG = """\
Configuration data as of 2026-11-26T19:28:57
AccountingStorageEnforce = associations,limits
AccountingStorageType   = accounting_storage/slurmdbd
EnforcePartLimits       = NO
JobRequeue              = 1
KillWait                = 30 sec
MaxArraySize            = 1001
MaxJobCount             = 10000
OverTimeLimit           = 0 min
PowerPlugin             =
PreemptMode             = GANG,SUSPEND
PreemptType             = preempt/partition_prio

Slurmctld(primary) at login1 is UP
"""
PARTITIONS = """\
PartitionName=main AllowAccounts=ALL Default=YES DefaultTime=NONE GraceTime=0 MaxTime=2-00:00:00 \
Nodes=n[1-2] OverTimeLimit=NONE PreemptMode=REQUEUE State=UP TotalNodes=2 DefMemPerCPU=4000
PartitionName=short AllowAccounts=ALL Default=NO DefaultTime=00:30:00 GraceTime=120 \
MaxTime=04:00:00 Nodes=n[1-2] OverTimeLimit=5 PreemptMode=CANCEL State=DOWN TotalNodes=2 \
DefMemPerNode=UNLIMITED
"""


def config(**changed: str) -> dict[str, str]:
    return cluster.configuration(CONFIG) | changed


def parts() -> dict[str, dict[str, str]]:
    return cluster.partitions(PARTITIONS)


def one(findings: Iterator[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_configuration_is_read_by_name_with_empty_values_and_without_the_rest() -> None:
    found = cluster.configuration(CONFIG)
    assert (found["KillWait"], found["PowerPlugin"]) == ("30 sec", "")
    assert len(found) == 11


def test_garbage_instead_of_a_configuration_or_partitions_holds_nothing() -> None:
    assert cluster.configuration("slurm_load_ctl_conf error: no\n\x00") == {}
    assert cluster.partitions("nothing\n\nState=UP") == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("UNLIMITED", math.inf), ("30", 1800), ("04:00:00", 14400), ("90:30", 5430),
        ("1-12:00:00", 129600), ("1-12", 129600),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_slurm_writes_it(text: str, wanted: float) -> None:
    assert slurm.seconds(text) == wanted


@pytest.mark.parametrize(
    ("value", "allowed", "mark", "word"),
    [
        ("1", True, "ok", "JobRequeue=1"),
        ("0", True, "warn", "ask for JobRequeue=1"),
        ("1", False, "warn", "submitit-no-requeue"),
    ],
)
def test_whether_jobs_are_requeued_is_said(value: str, allowed: bool, mark: str, word: str) -> None:
    found = one(cluster.requeue(config(JobRequeue=value), allowed))
    assert found.mark == mark and word in str(found)


def test_a_partition_says_itself_how_it_makes_room() -> None:
    mode, time_left = cluster.preemption(config(), parts()["main"])
    assert (mode.mark, time_left.mark) == ("ok", "ok") and "REQUEUE" in mode.fact
    mode, time_left = cluster.preemption(config(), parts()["short"])
    assert mode.mark == "warn" and "retries" in mode.todo
    assert "150 s (GraceTime 120, KillWait 30)" in time_left.fact


def test_a_short_time_to_save_and_no_preemption_at_all_are_seen() -> None:
    assert list(cluster.preemption(config(KillWait="5 sec"), parts()["main"]))[1].mark == "warn"
    off = config(PreemptType="preempt/none", PreemptMode="OFF")
    assert "not preempted" in one(cluster.preemption(off, parts()["main"])).fact
    gang = config(PreemptType="preempt/qos")
    assert "SUSPEND" in next(cluster.preemption(gang, parts()["main"])).fact


@pytest.mark.parametrize(
    ("changed", "mark", "word"),
    [
        ({}, "ok", "1,425 runs are 2 arrays"),
        ({"MaxArraySize": "0"}, "FAIL", "arrays are off"),
        ({"MaxJobCount": "600"}, "warn", "--jobs 300"),
    ],
)
def test_how_many_jobs_slurm_takes_is_weighed_against_a_sweep(
    changed: dict[str, str], mark: str, word: str
) -> None:
    found = one(cluster.arrays(config(**changed)))
    assert found.mark == mark and word in str(found)


@pytest.mark.parametrize(
    ("name", "minutes", "mark", "word"),
    [
        ("", 1440, "ok", "main: UP, 2 nodes, at most 2880 minutes, DefMemPerCPU=4000 MB"),
        ("", 4320, "FAIL", "set submitit-minutes to 2880"),
        ("short", 60, "FAIL", "it takes no jobs now"),
        ("shrot", 60, "FAIL", "name one with --partition: main, short"),
    ],
)
def test_a_partition_must_exist_be_up_and_take_long_enough_jobs(
    name: str, minutes: int, mark: str, word: str
) -> None:
    found = one(cluster.partition(parts(), name, minutes))
    assert found.mark == mark and word in str(found)


def test_without_a_default_partition_one_must_be_named() -> None:
    found = one(cluster.partition({"short": parts()["short"]}, "", 60))
    assert found.mark == "FAIL" and "none is the default" in found.fact


ASSOCIATIONS = "lab||normal,gpu|||50|\nother||normal||||\nbroken line\n"
QUALITIES = "normal||||\ngpu|8|200||\nhuge|1|10||\n"


@pytest.mark.parametrize(
    ("account", "qos", "mark", "word"),
    [
        ("", "", "warn", "say `--jobs 200` to snakemake"),
        ("other", "", "ok", "any number of jobs submitted"),
        ("lab", "gpu", "warn", "at most 8 jobs running"),
        ("", "huge", "warn", "--jobs 10"),
        ("labb", "", "FAIL", "name one with --account: lab, other"),
    ],
)
def test_the_limits_of_a_user_are_those_of_account_and_qos(
    account: str, qos: str, mark: str, word: str
) -> None:
    mine = accounts.rows(ASSOCIATIONS, accounts.ASSOCIATION)
    qualities = accounts.rows(QUALITIES, accounts.QUALITY)
    asked = {"account": account, "qos": qos}
    found = one(accounts.limits(config(), mine, qualities, asked))
    assert found.mark == mark and word in str(found)


def test_limits_that_are_not_enforced_are_no_warning() -> None:
    mine = accounts.rows("lab||normal||5||\n", accounts.ASSOCIATION)
    lax = config(AccountingStorageEnforce="none")
    assert "enforces none" in one(accounts.limits(lax, mine, [], {"account": "", "qos": ""})).fact


def test_no_accounting_is_said_with_what_is_lost_by_it() -> None:
    assert one(accounts.accounting(config(), "")).mark == "ok"
    off = config(AccountingStorageType="accounting_storage/none")
    assert "markers" in one(accounts.accounting(off, "Slurm accounting storage is disabled")).todo
    broken = one(accounts.accounting(config(), "sacct: Connection\nrefused"))
    assert "sacct: Connection refused" in broken.fact
