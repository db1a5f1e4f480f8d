"""Pretrained teachers: model files, models in memory, and files of answers."""
