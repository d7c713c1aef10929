"""suite x agent x game x seed -> receipts, one process each."""

import sys

from launch import plan


rule train:
    output:
        "results/{suite}/{agent}/{game}/{seed}.json",
    wildcard_constraints:
        suite="[^/]+",
        agent="[^/]+",
        game="[^/]+",
        seed="[0-9]+",
    priority: lambda wildcards: plan.priority(sweep.suite, wildcards.agent, int(wildcards.seed))
    threads: lambda wildcards: plan.resources(wildcards.agent).threads
    resources:
        mem_mb=lambda wildcards: plan.resources(wildcards.agent).mem_mb,
        gpu=lambda wildcards: plan.resources(wildcards.agent).gpu,
    params:
        python=sys.executable,
        folder="runs/{suite}/{agent}/{game}/{seed}",  # Not declared: Snakemake would empty it.
        tracking=sweep.order.tracking,
    shell:
        "exec {params.python:q} -m launch.job {wildcards.agent} {wildcards.game} {wildcards.seed}"
        " --suite {wildcards.suite} --folder {params.folder:q} --tracking {params.tracking}"
        " --threads {threads} --gpu {resources.gpu}"
