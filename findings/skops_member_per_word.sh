#!/usr/bin/env bash
# skops writes a TF-IDF vectoriser that was fitted with max_features as one zip member for each word: its vocabulary_
# then holds NumPy integers, and every NumPy scalar becomes an .npy file of its own. Without the limit it holds Python
# integers, and the same words are two members.
# Expected: a file that hardly depends on max_features, and is smaller where it leaves words out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
env/bin/python - <<'PYTHON'
import io
import time
import zipfile
from sys import exit

import skops
import skops.io
from sklearn.feature_extraction.text import TfidfVectorizer

texts = [f"w{number} w{number + 1}" for number in range(4000)]
members = {}
print("skops", skops.__version__)
for options in ({}, {"max_features": 3000}):
    words = TfidfVectorizer(**options).fit(texts)
    start = time.process_time()
    content = skops.io.dumps(words)
    seconds = time.process_time() - start
    kind = type(next(iter(words.vocabulary_.values()))).__name__
    named = zipfile.ZipFile(io.BytesIO(content)).namelist()
    members[len(words.vocabulary_)] = len(named)
    print(f"{options}: {len(words.vocabulary_)} words as {kind}, {len(named)} members, {len(content):,} bytes, {seconds:.2f} s")
exit(members != {4001: 2, 3000: 3002})
PYTHON
