"""From encoded examples and a teacher's answers to a trained student: the loop and what it needs.

Imports `methods`, `noise`, `models`, `answers` and the packages below them; never `teachers` or `runs`.
"""
