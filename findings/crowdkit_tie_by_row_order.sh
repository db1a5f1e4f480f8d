#!/usr/bin/env bash
# crowd-kit's MajorityVote breaks a tie by the label whose row comes first in the data frame: the same votes in another
# order give another answer, without a warning. Expected: a tie broken by the label itself, whatever the order of rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet crowd-kit==1.4.2 pandas==3.1.1
cd "$folder"
env/bin/python - <<'PYTHON'
from importlib.metadata import version
from sys import exit

import pandas as pd
from crowdkit.aggregation import MajorityVote

votes = pd.DataFrame({"task": ["t", "t"], "worker": ["ann", "bob"], "label": ["spam", "ham"]})
seen = [MajorityVote().fit_predict(rows).tolist() for rows in (votes, votes[::-1])]
print("crowd-kit", version("crowd-kit"))
print("spam first:", seen[0], " ham first:", seen[1])
exit(seen != [["spam"], ["ham"]])
PYTHON
