"""A method as data: its parts, how they combine, and the published combinations by name.

The parts (`losses`, `weights`, `targets`, `selectors`, `noise_models`) do not import each other.
"""
