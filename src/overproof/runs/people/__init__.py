"""Rows of the pool that people label: which ones to ask for, the file they fill in, and what their labels say."""
