"""Commands about rows that people label, or that need no label by a guarantee."""
