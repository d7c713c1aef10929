"""Published scores, to compare with: per game, with spread, seeds, window, protocol and source.

Figures only, transcribed from papers and released score files. Where sources disagree, one figure
is the default and the others are flagged alternatives; nothing is averaged. docs/references.md
says what is doubtful.
"""

from analysis.references.baselines import scales
from analysis.references.printed import aggregate, check
from analysis.references.tables import SUITES, method, methods, published

__all__ = ["SUITES", "aggregate", "check", "method", "methods", "published", "scales"]
