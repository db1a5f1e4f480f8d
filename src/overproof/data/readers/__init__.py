"""Readers, one module per file format: CSV, JSON lines, Parquet, Arrow, NumPy, IDX, images, Hugging Face data sets.

They import `data.columns`, `data.inputs`, `data.source` and `errors`; only `data.read`, `data.open_source` and
`data.preview` call them.
"""
