"""What is measured: games, suites of them, tasks, and the environments that honour a task.

One YAML file of this folder is one suite; adding a suite is adding a file. This room imports no
other.
"""

from suites.suite import Suite, load, names

__all__ = ["Suite", "load", "names"]
