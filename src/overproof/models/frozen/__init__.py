"""Frozen encoders: from a text or an image to a vector, without training and without downloads."""
