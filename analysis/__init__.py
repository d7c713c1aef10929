"""What the runs mean: scores, intervals, figures and the report, from files alone.

The flow is receipts -> `scores` -> `aggregates` -> `figures` -> `report`; `pipeline` holds one
function a step, and `python -m analysis STEP SUITE` runs it. Nothing heavy is imported here.
"""
