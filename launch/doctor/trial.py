"""Whether Slurm would take the jobs of a sweep: `sbatch --test-only`, which starts nothing."""

import os
import subprocess
from collections.abc import Iterable, Iterator

from snakemake_executor_plugin_submitit import ExecutorSettings, bucket, slurm

from launch import plan
from launch.doctor.finding import Finding, brief

ANSWER_S = 30.0
MEMORY_MB = 1000
COMMENTARY = ("sbatch: error: ", "sbatch: ", "allocation failure: ")


def asks(settings: ExecutorSettings, gpus: bool) -> dict[bucket.Ask, list[str]]:
    """Returns what runs ask for, and the agents that do, by `launch/config.yaml`."""
    found: dict[bucket.Ask, list[str]] = {}
    table = plan.defaults().resources
    for agent in sorted(table, key="default".__eq__):  # What others ask for comes last.
        one = table[agent]
        wanted = {"mem_mb": one.mem_mb, "gpu": one.gpu if gpus else 0}
        found.setdefault(bucket.ask(one.threads, wanted, vars(settings)), []).append(agent)
    return found


def submissions(settings: ExecutorSettings, gpus: bool) -> Iterator[Finding]:
    """Says which agents' runs Slurm would refuse, and why."""
    taken = []
    for ask, agents in asks(settings, gpus).items():
        names = ", ".join("any other" if name == "default" else name for name in agents)
        if refusal := refused(ask, settings.gpu_flag):
            yield Finding(
                "FAIL", "submission", f"{names}: {said(ask)}: {refusal}",
                "see launch/config.yaml for what runs ask, the profile for where they go",
            )  # fmt: skip
        else:
            taken.append(names)
    if taken:
        yield Finding("ok", "submission", f"Slurm would take {', '.join(taken)}")


def devices(groups: Iterable[str], settings: ExecutorSettings) -> Iterator[Finding]:
    """Says which graphics processors nodes have, and how a job may ask for one.

    Args:
        groups: lines `gres|nodes` of sinfo.
        settings: of the executor.
    """
    cells = [line.partition("|") for line in groups]
    there = {gres: nodes for gres, _, nodes in cells if "gpu" in gres}
    if not there:
        yield Finding("left out", "gpus", "no node has gres of name gpu: runs use processors")
        return
    fact = ", ".join(f"{nodes} nodes with {gres}" for gres, nodes in there.items())
    ask = bucket.ask(1, {"mem_mb": MEMORY_MB, "gpu": 1}, vars(settings))
    refusals = {flag: refused(ask, flag) for flag in bucket.GPU_FLAGS}
    good = [flag for flag, refusal in refusals.items() if not refusal]
    ours = settings.gpu_flag
    if ours in good:
        yield Finding("ok", "gpus", f"{fact}; may be asked for by {' or '.join(good)}")
    else:
        todo = f"set submitit-gpu-flag to {good[0]}" if good else "name another with --partition"
        yield Finding("FAIL", "gpus", f"{fact}; by {ours}: {refusals[ours]}", todo)


def refused(ask: bucket.Ask, gpu_flag: bucket.GpuFlag) -> str:
    """Returns why Slurm would not take a job; nothing if it would."""
    wanted = ask.parameters(1, gpu_flag)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in wanted.items()]
    with slurm.unnested():
        environ = dict(os.environ)
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", "--requeue", *options, "--wrap", "true"], env=environ,
            capture_output=True, text=True, timeout=ANSWER_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return brief(str(error))
    return spoken(done.stderr or done.stdout) if done.returncode else ""


def spoken(text: str) -> str:
    """Returns the reasons in what sbatch said, each once."""
    lines = []
    for line in text.splitlines():
        for word in COMMENTARY:
            line = line.removeprefix(word)
        lines.append(line.strip())
    return brief("; ".join(dict.fromkeys(filter(None, lines)))) or "refused without a reason"


def said(ask: bucket.Ask) -> str:
    """Says what a job asks for."""
    devices = f", {ask.gpus} GPU" if ask.gpus else ""
    cores = "1 core" if ask.cores == 1 else f"{ask.cores} cores"
    return f"{cores}, {ask.memory_mb} MB{devices}, {ask.minutes} minutes"
