"""A run on its folder: experiment, roles, answers, students, result; every step resumes.

Imports every stage of the path but `report` and `commands`.
"""
