"""What a teacher answered: asked once per example, kept by content, read from files.

Imports `storage`, `data`, `functional` and the ground floor.
"""
