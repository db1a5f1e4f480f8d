"""Write WordNet 3.0's glosses as one Parquet file (text, label): to which lexicographer file does a gloss belong?

    python recipes/wordnet.py wordnet.parquet [FOLDER]

FOLDER holds data.noun, data.verb, data.adj and data.adv; Debian's package wordnet-base puts them into
/usr/share/wordnet. Expected: 117,659 glosses of 45 files; 12 % are of the largest class, adj.all, and 51 of noun.Tops.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = "/usr/share/wordnet"

# lexnames(5WN): a synset names its file by its place in this list.
# fmt: off
LEXICOGRAPHER_FILES = (
    "adj.all", "adj.pert", "adv.all",
    "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute", "noun.body", "noun.cognition",
    "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive",
    "noun.object", "noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process",
    "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time", "verb.body",
    "verb.change", "verb.cognition", "verb.communication", "verb.competition", "verb.consumption", "verb.contact",
    "verb.creation", "verb.emotion", "verb.motion", "verb.perception", "verb.possession", "verb.social",
    "verb.stative", "verb.weather", "adj.ppl",
)
# fmt: on


def main(target: Path, folder: Path) -> None:
    """Read the four files and write one."""
    columns: dict[str, list[str]] = {"text": [], "label": []}
    for part in ("noun", "verb", "adj", "adv"):
        path = folder / f"data.{part}"
        if not path.exists():
            sys.exit(f"{path} does not exist: install Debian's package wordnet-base, or name the folder of data.noun.")
        for line in path.read_text(encoding="utf-8").splitlines():
            # The licence stands first, on lines that begin with two spaces.
            if not line.startswith("  "):
                synset, _, gloss = line.partition(" | ")
                columns["text"].append(gloss.strip())
                columns["label"].append(LEXICOGRAPHER_FILES[int(synset.split()[1])])
    pq.write_table(pa.table(columns), target, compression="zstd")
    print(f"{len(columns['text'])} glosses of {len(set(columns['label']))} lexicographer files in {target}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else FOLDER))
