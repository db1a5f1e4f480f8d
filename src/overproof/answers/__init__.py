"""Teacher answers: computed once for each example and stored by content, or read from files.

Imports `storage`, `data`, `functional` and the ground floor.
"""
