#!/usr/bin/env bash
# Argilla's JSON export of records (JsonIO, behind `dataset.records.to_json`) leaves out the status of a response: a discarded or
# draft answer reads back like a submitted one, with status None. The flattened list keeps it. Expected: the status in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet argilla==2.8.0 requests==2.34.2
cd "$folder"
ARGILLA_API_KEY=x env/bin/python - <<'PYTHON'
import uuid
from importlib.metadata import version
from pathlib import Path
from sys import exit

import argilla as rg
from argilla.records._io import GenericIO, JsonIO

users = [uuid.UUID(int=number) for number in range(3)]
statuses = ["submitted", "discarded", "draft"]
responses = [rg.Response("label", "spam", user_id=user, status=status) for user, status in zip(users, statuses)]
record = rg.Record(fields={"text": "hello"}, id="1", responses=responses)
JsonIO.to_json([record], Path("records.json"))
(read,) = JsonIO._records_from_json(Path("records.json"))
before = [str(getattr(each.status, "value", each.status)) for each in record.responses]
after = [each.status for each in read.responses]
flat = GenericIO.to_list([record], flatten=True)[0]["label.responses.status"]
print("argilla", version("argilla"))
print("written:", before, " read back:", after, " flattened:", [str(getattr(each, "value", each)) for each in flat])
exit(before != statuses or after != [None] * 3 or len(flat) != 3)
PYTHON
