"""Teachers that the user brings: model files, models in memory, and files of answers."""
