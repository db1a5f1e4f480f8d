"""Sentences beside the table: what a reader must know of a finished run."""
