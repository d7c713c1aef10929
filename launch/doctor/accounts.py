"""What accounting knows, and which limits it sets for a user: of what sacct and sacctmgr print.

Source: https://slurm.schedmd.com/sacctmgr.html, resource_limits.html.
"""

from collections.abc import Iterator, Mapping, Sequence

from launch.doctor.cluster import SWEEP, Facts, value
from launch.doctor.finding import Finding, brief

ASSOCIATION = ("account", "partition", "qos", "maxjobs", "maxsubmit", "grpjobs", "grpsubmit")
QUALITY = ("name", "maxjobspu", "maxsubmitpu", "grpjobs", "grpsubmit")
SUBMITTED = ("maxsubmit", "maxsubmitpu", "grpsubmit")
RUNNING = ("maxjobs", "maxjobspu", "grpjobs")


def accounting(config: Facts, refusal: str) -> Iterator[Finding]:
    """Says whether Slurm remembers how jobs ended.

    Args:
        config: of Slurm.
        refusal: what sacct complained of; nothing if it answered.
    """
    stored = value(config, "AccountingStorageType")
    if not refusal and not stored.endswith("none"):
        yield Finding("ok", "accounting", "sacct answers")
        return
    fact = "off" if stored.endswith("none") else f"sacct does not answer: {brief(refusal)}"
    todo = "nothing: jobs leave markers; only why a killed one ended is then guessed"
    yield Finding("warn", "accounting", fact, todo)


def rows(text: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Returns what `sacctmgr -n -P` prints; lines of another shape are left out."""
    cells = [line.split("|") for line in text.splitlines()]
    return [dict(zip(names, row, strict=True)) for row in cells if len(row) == len(names)]


def limits(
    config: Facts, mine: list[dict[str, str]], qualities: list[dict[str, str]],
    asked: Mapping[str, str],
) -> Iterator[Finding]:  # fmt: skip
    """Says how many jobs a user may have.

    Args:
        config: of Slurm.
        mine: associations of the user.
        qualities: all QOS.
        asked: account and qos of a sweep, empty where it names none.
    """
    enforced = "limits" in value(config, "AccountingStorageEnforce")
    if not mine:
        fact = "sacctmgr knows no account of yours"
        yield Finding("warn" if enforced else "ok", "limits", fact)
        return
    if asked["account"]:
        same = [row for row in mine if row["account"] == asked["account"]]
        if not same:
            known = ", ".join(sorted({row["account"] for row in mine}))
            fact = f"you have no account {asked['account']!r}"
            yield Finding("FAIL", "limits", fact, f"name one with --account: {known}")
            return
        mine = same
    used = {asked["qos"]} if asked["qos"] else {q for row in mine for q in row["qos"].split(",")}
    found = mine + [row for row in qualities if row["name"] in used]
    submitted, running = lowest(found, SUBMITTED), lowest(found, RUNNING)
    fact = f"{say(submitted, 'submitted')}, {say(running, 'running')}"
    if not enforced:
        yield Finding("ok", "limits", f"{fact}; Slurm enforces none")
    elif submitted is not None and submitted < SWEEP:
        todo = f"say `--jobs {submitted}` to snakemake, or it hands over more than Slurm takes"
        yield Finding("warn", "limits", fact, todo)
    else:
        yield Finding("ok", "limits", fact)


def lowest(found: list[dict[str, str]], names: Sequence[str]) -> int | None:
    """Returns the lowest limit; None without one."""
    values = [int(row[name]) for row in found for name in names if row.get(name, "").isdigit()]
    return min(values, default=None)


def say(limit: int | None, what: str) -> str:
    """Says how many jobs may be waiting or running."""
    return f"any number of jobs {what}" if limit is None else f"at most {limit} jobs {what}"
