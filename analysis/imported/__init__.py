"""Results of others: score files and curves of other programs become imports beside our runs.

The flow is FILE -> `reading` (in pieces, within limits) -> a format's module (`official`, `plain`,
`cleanrl`, `tensorboard`, `mlflow_source`) -> `curves` -> `gathering` (games, seeds, budget, window,
notes) -> `store`, which alone knows the files of an import. docs/imports.md shows each format.
Nothing heavy is imported here.
"""
