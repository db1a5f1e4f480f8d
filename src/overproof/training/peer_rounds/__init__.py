"""Peer rounds: students correct their teacher out of sample, then the final student trains on the corrected answers."""
