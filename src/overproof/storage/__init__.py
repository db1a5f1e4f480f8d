"""Files that survive a kill: atomic writes, the sharded store, memory-mapped arrays.

Imports nothing but `errors`.
"""
