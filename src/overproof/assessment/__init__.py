"""Assessment of a teacher before training: how accurate it is, where it errs, and which method to run.

May import `linear`, `evaluation`, `teachers`, `training` and every folder below them; in fact it uses `noise`,
`linear`, `evaluation`, `functional` and `cross_fitting`.
"""
