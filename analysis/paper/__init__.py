"""Figures and tables for papers: of our own agents and imports, beside published scores.

material  who takes part, with scores, curves and words
charts    kinds that the report has not: efficiency, improvement, differences, ladder
kinds     each kind of figure, from material to drawing
tabular   each kind of table, with its marks
typeset   tables as LaTeX, Markdown, CSV
origin    what a file says of the runs behind it
main      `reverie figure` and `reverie table`
"""
