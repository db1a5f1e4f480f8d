"""Before training: is this teacher good enough, and which method fits?

Imports `noise`, `linear`, `evaluation` and what lies below them.
"""
