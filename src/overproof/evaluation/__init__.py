"""How good predictions are, and what a table of runs allows one to say: metrics, intervals, verdicts.

Imports `functional` and the ground floor.
"""
