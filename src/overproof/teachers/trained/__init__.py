"""Teachers that are trained on the labelled examples and cross-fitted."""
