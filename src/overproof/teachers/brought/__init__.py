"""Pretrained teachers: model files, models in memory, and files of answers.

To add one: a file here with the teacher and its `BroughtKind` (`teachers/kind.py`), and a line in `teachers/kinds.py`.
Imports `teachers.scorers`, `models`, `data` and the ground floor.
"""
