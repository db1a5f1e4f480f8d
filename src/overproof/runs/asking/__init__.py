"""A language model is asked about the rows of a file, or about all examples of a run."""
