"""What the steps of a run are made from: its input files, recorded with their content and verified by every step.

`files` finds the files that an experiment reads, `rows` what is remembered of single rows, and `record` writes and
verifies `inputs.json`.
"""
