"""A run from an experiment file to `result.json`: roles, teacher answers, students, evaluation, and what resumes.

Imports everything below it, from `training` and `teachers` to `evaluation`; never `report`, `api` or `commands`.
"""
