"""Methods: their parts (losses, weights, targets, selectors, noise models), their composition, the published ones.

The folders of parts do not import each other. They import `noise`, `answers`, `functional`, `registry` and what is
below them, never `training`.
"""
