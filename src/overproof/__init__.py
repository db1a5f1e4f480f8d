"""Distillation with unlabelled examples: a small student, debiased from an imperfect teacher."""
