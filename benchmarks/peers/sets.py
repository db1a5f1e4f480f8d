"""The sets of the race: who answers, which rows, and the same rows and answers for every peer, written once.

`prepared(name)` asks the teacher, once for all seeds, and writes runs/peers/NAME: the folder `run` of the library's own
run, whose students are ours; and a file for each seed, from which every other peer reads the same rows and answers.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The package is read from this checkout; the recipes' own functions are used again.
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "recipes")]

FOLDER = Path("runs/peers")
SEEDS = [0, 1, 2, 3, 4]
OURS = {"auto": "overproof auto", "hard": "overproof hard", "slam": "overproof slam"}


@dataclass(frozen=True)
class SetOf:
    """A recipe and what is changed in it; `described` names the classes' descriptions of a zero-shot teacher."""

    title: str
    recipe: str
    described: str | None = None
    hard: bool = False
    changes: tuple[tuple[str, object], ...] = ()


SETS = {
    "newsgroups": SetOf(
        "20 Newsgroups, 300 labels, zero-shot teacher, hard answers", "zero_shot_newsgroups", "newsgroups", True
    ),
    "clothing": SetOf(
        "clothing reviews, 300 labels, zero-shot teacher, hard answers", "zero_shot_clothing", "clothing", True
    ),
    "letter": SetOf("Letter, 1,000 labels, boosted trees' probabilities", "letter"),
    "letter_llm": SetOf("Letter, 500 labels, strong and biased teacher, hard answers", "llm_like_letter", hard=True),
    "adult": SetOf("Adult, 200 labels, boosted trees' and forest's probabilities", "adult"),
    "newsgroups_soft": SetOf(
        "20 Newsgroups, 300 labels, zero-shot teacher, probabilities", "zero_shot_newsgroups", "newsgroups"
    ),
    "clothing_soft": SetOf(
        "clothing reviews, 300 labels, zero-shot teacher, probabilities", "zero_shot_clothing", "clothing"
    ),
    "imdb_200": SetOf(
        "IMDB, 200 labels, MiniLM and a head taught on them",
        "imdb",
        changes=(("data.rows", {"labelled": 200, "pool": 4000, "test": 3000}),),
    ),
    "imdb_1000": SetOf(
        "IMDB, 1,000 labels, MiniLM and a head taught on them",
        "imdb",
        changes=(("data.rows", {"labelled": 1000, "pool": 4000, "test": 3000}),),
    ),
    "wordnet": SetOf("WordNet glosses, 2,000 labels, MiniLM and a head taught on them", "wordnet"),
}


@dataclass
class Material:
    """What a peer is given for one seed. Inputs are arrays of texts, or data frames.

    The labels of the test are not among it: they are in the same file, and only the table reads them.
    """

    kind: str
    names: list[str]
    seed: int
    epochs: int
    labelled: object
    label: np.ndarray
    pool: object
    probs: np.ndarray
    test: object
    vectors: dict[str, np.ndarray] | None
    vector_seconds: float

    @property
    def answer(self) -> np.ndarray:
        """The teacher's class for every row of the pool."""
        return self.probs.argmax(axis=1)

    @property
    def is_hard(self) -> bool:
        """Whether it names classes only."""
        return bool(((self.probs == 0) | (self.probs == 1)).all())


def content_of(name: str) -> dict:
    """The experiment of a set, with our three rows and all seeds."""
    chosen = SETS[name]
    content = yaml.safe_load((ROOT / "recipes" / f"{chosen.recipe}.yaml").read_text())
    for path, value in chosen.changes:
        *groups, last = path.split(".")
        node = content
        for group in groups:
            node = node[group]
        node[last] = value
    if chosen.described:
        kept = FOLDER / chosen.described
        content["teacher"] = {"answers": [str(kept / f"answers{'_hard' if chosen.hard else ''}.parquet")]}
        for file in content["data"]["files"].values():
            file["path"] = str(kept / "examples.parquet")
    return content | {"methods": list(OURS), "seeds": SEEDS}


def prepared(name: str, files: dict[str, str]) -> Path:
    """The folder of a set, made where it is not there yet.

    Args:
        name: Of `SETS`.
        files: Paths of files that no package holds: `newsgroups`, `imdb`, `wordnet`.
    """
    from overproof.progress import Silent
    from overproof.runs.experiment import experiment_from
    from overproof.runs.pipeline import Run

    folder = FOLDER / name
    if (folder / "set.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    content, spent = content_of(name), 0.0
    for file in content["data"]["files"].values():
        key = Path(file["path"]).stem
        if key in files:
            file["path"] = files[key]
    if SETS[name].described:
        spent = embedded(SETS[name].described, content, files)
    experiment = experiment_from(content)
    start = time.process_time()
    run = Run(experiment=experiment, folder=folder / "run", progress=Silent())
    run.label()
    spent += time.process_time() - start
    for seed in SEEDS:
        write_seed(run, seed, folder)
    names = list(run.seed_roles(0).labelled.class_names)
    about = {"names": names, "epochs": experiment.train.epochs, "teacher_seconds": spent}
    (folder / "set.json").write_text(json.dumps(about))
    return folder


def embedded(described: str, content: dict, files: dict[str, str]) -> float:
    """Write texts, vectors and answers of a zero-shot teacher, as recipes/zero_shot.py does, for the rows of the race.

    Returns:
        Processor seconds of the encoder.
    """
    import torch
    from zero_shot import DESCRIPTIONS, SCALE, examples

    from overproof.models.frozen.texts import minilm
    from overproof.runs.experiment import experiment_from
    from overproof.runs.read_roles import read_roles

    kept = FOLDER / described
    kept.mkdir(parents=True, exist_ok=True)
    if (kept / "answers.parquet").exists():
        return float(np.load(kept / "vectors.npz")["seconds"])
    text, label, split = examples(described, files.get(described))
    ids = [f"{described}-{number}" for number in range(len(text))]
    table = pa.table({"id": ids, "text": text, "label": label, "split": split})
    pq.write_table(table, kept / "examples.parquet", compression="zstd")
    roles = read_roles(experiment_from(content).data).for_seed(0)
    # Every seed draws its labelled rows and its pool from the same rows.
    parts = (roles.labelled, roles.pool, roles.test)
    needed = sorted({key for part in parts for key in part.keys.to_pylist()})
    place = dict(zip(ids, range(len(ids)), strict=True))
    names, start = list(DESCRIPTIONS[described]), time.process_time()
    vectors = minilm().embed([text[place[key]] for key in needed])
    seconds = time.process_time() - start
    probs = (SCALE * vectors @ minilm().embed(list(DESCRIPTIONS[described].values())).T).softmax(dim=1)
    columns = dict(zip(names, torch.unbind(probs, dim=1), strict=True))
    arrays = {"id": needed, **{name: column.numpy() for name, column in columns.items()}}
    np.savez(kept / "vectors.npz", ids=np.array(needed), vectors=vectors.numpy(), seconds=seconds)
    named = [names[each] for each in probs.argmax(dim=1).tolist()]
    pq.write_table(pa.table({"id": needed, "label": named}), kept / "answers_hard.parquet")
    pq.write_table(pa.table(arrays), kept / "answers.parquet")
    return seconds


def write_seed(run, seed: int, folder: Path) -> None:
    """One seed's rows, labels and answers as one Parquet file."""
    roles, answers = run.seed_roles(seed), run.teacher.for_seed(seed)
    parts = []
    for role, part in (("labelled", roles.labelled), ("pool", roles.pool), ("test", roles.test)):
        inputs = part.inputs if isinstance(part.inputs, pa.Table) else pa.table({"text": part.inputs})
        keys = part.keys if part.keys is not None else pa.array([str(row) for row in range(len(part))])
        probs = answers[role].probs().numpy()
        # The pool's labels are nobody's business.
        label = part.label.numpy() if role != "pool" else np.full(len(part), -1)
        columns = {"_role": [role] * len(part), "_id": keys.cast(pa.string()), "_label": label}
        columns |= {f"_answer_{number}": probs[:, number] for number in range(probs.shape[1])}
        parts.append(pa.table({**columns, **{name: inputs.column(name) for name in inputs.column_names}}))
    pq.write_table(pa.concat_tables(parts, promote_options="permissive"), folder / f"seed-{seed}.parquet")


def material(name: str, seed: int) -> Material:
    """What a peer is given."""
    folder = FOLDER / name
    about, table = json.loads((folder / "set.json").read_text()), pq.read_table(folder / f"seed-{seed}.parquet")
    role = np.array(table["_role"].to_pylist())
    inputs = table.select([each for each in table.column_names if not each.startswith("_")])
    kind = "text" if inputs.column_names == ["text"] else "table"
    probs = np.column_stack([table[f"_answer_{number}"].to_numpy() for number in range(len(about["names"]))])

    def rows(which):
        part = inputs.filter(pa.array(role == which))
        return np.array(part["text"].to_pylist(), dtype=object) if kind == "text" else part.to_pandas()

    vectors, seconds = None, 0.0
    kept = FOLDER / str(SETS[name].described) / "vectors.npz"
    if kept.exists():
        stored = np.load(kept)
        place = dict(zip(stored["ids"].tolist(), range(len(stored["ids"])), strict=True))
        keys = np.array([place[key] for key in table["_id"].to_pylist()])
        vectors = {which: stored["vectors"][keys[role == which]] for which in ("labelled", "pool", "test")}
        seconds = float(stored["seconds"]) / len(stored["ids"])
    return Material(
        kind=kind,
        names=about["names"],
        seed=seed,
        epochs=about["epochs"],
        labelled=rows("labelled"),
        label=table["_label"].to_numpy()[role == "labelled"],
        pool=rows("pool"),
        probs=probs[role == "pool"],
        test=rows("test"),
        vectors=vectors,
        vector_seconds=seconds,
    )


def truth(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The labels of the test, the same for every seed, and what the teacher answers there; for the table alone."""
    about = json.loads((FOLDER / name / "set.json").read_text())
    table = pq.read_table(FOLDER / name / f"seed-{seed}.parquet")
    table = table.filter(pa.array(np.array(table["_role"].to_pylist()) == "test"))
    probs = np.column_stack([table[f"_answer_{number}"].to_numpy() for number in range(len(about["names"]))])
    return table["_label"].to_numpy(), probs.argmax(axis=1)
