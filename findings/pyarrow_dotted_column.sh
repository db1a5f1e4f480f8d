#!/usr/bin/env bash
# A Parquet file with a column called "a.b" beside a struct "a" with a field "b": ParquetFile.read and iter_batches return both
# for columns=["a.b"], read_table returns the column of that name alone. Expected: one column for one name, on both ways.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet pyarrow==26.0.1
cd "$folder"
env/bin/python - <<'PYTHON'
from sys import exit

import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"a.b": [1, 2], "a": [{"b": 5}, {"b": 6}]}), "table.parquet")
whole = pq.ParquetFile("table.parquet").read(columns=["a.b"]).column_names
pieces = next(pq.ParquetFile("table.parquet").iter_batches(columns=["a.b"])).schema.names
table = pq.read_table("table.parquet", columns=["a.b"]).column_names
print("pyarrow", pa.__version__)
print("ParquetFile.read:", whole, " iter_batches:", pieces, " read_table:", table)
exit((whole, pieces, table) != (["a.b", "a"], ["a.b", "a"], ["a.b"]))
PYTHON
