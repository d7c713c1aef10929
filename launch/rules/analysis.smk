"""Receipts -> scores -> aggregates -> figures -> report."""

rule report:
    input: sweep.receipts
    output: "results/{suite}/report.html"
    shell: "{sys.executable} -m launch.cli report {wildcards.suite}"
