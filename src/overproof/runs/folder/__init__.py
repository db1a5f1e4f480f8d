"""What a run leaves in its folder: the experiment, the log, citations, facts of each student and `result.json`."""
