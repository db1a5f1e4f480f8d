"""The command line: one file a command; each parses options and calls the same functions as Python does."""
