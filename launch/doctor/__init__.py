"""`reverie doctor`: what would go wrong with a sweep here, found before it does.

`checkup` runs the probes in order and prints a line for each finding; `here` looks at this machine,
`cluster`, `accounts` and `trial` ask Slurm, and `job` has it run `node` and watches from outside.
"""
