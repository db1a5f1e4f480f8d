"""From somebody's files to an experiment: what the files hold, which column is what, and the YAML to start with."""
