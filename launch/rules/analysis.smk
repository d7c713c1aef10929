"""Receipts -> tables of scores -> aggregates -> figures -> report; a step is a process."""

import sys
from pathlib import Path

PYTHON = sys.executable
SUITE = sweep.suite.name
HERE = f"results/{SUITE}"


rule collect:
    input:
        receipts=lambda _: sweep.receipts,
        imports=lambda _: sorted(map(str, Path(HERE).glob("imports/*/import.json"))),
    output:
        expand(f"{HERE}/{{table}}.csv", table=["scores", "coverage", "curves"]),
    shell:
        "{PYTHON:q} -m analysis collect {SUITE} {input.receipts:q} >/dev/null"


rule aggregate:
    input:
        rules.collect.output,
    output:
        expand(f"{HERE}/{{table}}.csv", table=["aggregates", "profiles", "games"]),
    shell:
        "{PYTHON:q} -m analysis aggregate {SUITE} >/dev/null"


rule figures:
    input:
        rules.collect.output,
        rules.aggregate.output,
    output:
        expand(
            f"{HERE}/figures/{{figure}}.{{kind}}",
            figure=["curves", "aggregates", "profiles"],
            kind=["png", "pdf"],
        ),
    shell:
        "{PYTHON:q} -m analysis figures {SUITE} >/dev/null"


rule report:
    input:
        rules.collect.output,
        rules.aggregate.output,
        rules.figures.output,
    output:
        report(f"{HERE}/report.html", category="Reports", labels={"suite": SUITE}),
    shell:
        "{PYTHON:q} -m analysis report {SUITE} >/dev/null"
