"""Evaluation of predictions and comparison of methods: metrics, confusions, paired differences, verdicts.

May import `teachers`, `training` and every other folder below them; modules outside `findings` use only `functional`
and `errors`.
"""
