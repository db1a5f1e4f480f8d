"""What is read back is what was written: one flipped bit anywhere is noticed, and cached content is made again."""

import json
import logging

import numpy as np
import pytest
import torch
from torch import nn

from overproof.answers.ask import answer
from overproof.data.ids import ID
from overproof.errors import InputError
from overproof.methods.published import method
from overproof.storage import arrays as array_files
from overproof.storage import checked
from overproof.storage.keys import ANSWERS
from overproof.storage.shard import StoreKey
from overproof.training import checkpoint
from overproof.training.epoch_counts import no_counts
from overproof.training.imitation_search import StoredResults
from overproof.training.stored_scores import store_scores, stored_scores


def flip(path, place: int) -> None:
    """Flip one bit of a file, `place` counted in bits from its start."""
    data = bytearray(path.read_bytes())
    place %= 8 * len(data)
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


def places(path, number: int) -> list[int]:
    return np.random.default_rng(0).integers(0, 8 * path.stat().st_size, number).tolist()


def refusal_of(is_as_before) -> str | None:
    """The words of a refusal; None where what is read is as before."""
    try:
        assert is_as_before()
    except InputError as error:
        return str(error)
    return None


def test_every_bit_of_a_checked_file_counts(tmp_path):
    path = tmp_path / "a"
    checked.write_bytes(path, b"some content")
    assert checked.read_bytes(path) == b"some content"
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        flip(path, place)
        with pytest.raises(checked.Damaged):
            checked.read_bytes(path)
        path.write_bytes(whole)
    path.write_bytes(whole[:-1])
    with pytest.raises(checked.Damaged):
        checked.read_bytes(path)
    assert checked.bytes_or_none(tmp_path / "nothing") is None
    assert checked.bytes_or_none(path) is None


def test_a_checked_file_of_another_kind_is_noticed(tmp_path):
    """Its own checksum is right, but it is no file of this place."""
    path = tmp_path / "weights.json"
    checked.write_json(path, {"experiment": "e", "papers": []})
    assert checked.read_json(path, ("experiment", "papers")) == {"experiment": "e", "papers": []}
    with pytest.raises(checked.Damaged, match=r"^it has no 'weights', as a file of another kind$"):
        checked.read_json(path, ("weights", "log_loss"))


def test_scores_of_another_student_are_not_taken(tmp_path, caplog):
    """The file of fold 1 copied over that of fold 0 has a right checksum."""
    scores = {"labelled": torch.eye(2)}
    for fold in (0, 1):
        store_scores(tmp_path / f"{fold}.safetensors", {"labelled": scores["labelled"] + fold}, f"fold {fold}")
    assert stored_scores(tmp_path / "1.safetensors", "fold 1")["labelled"].tolist() == [[2, 1], [1, 2]]
    (tmp_path / "0.safetensors").write_bytes((tmp_path / "1.safetensors").read_bytes())
    assert stored_scores(tmp_path / "0.safetensors", "fold 0") is None
    assert "0.safetensors (it is of another student) is made again" in caplog.text
    assert stored_scores(tmp_path / "2.safetensors", "fold 2") is None


def test_every_bit_of_checked_json_is_noticed_or_changes_nothing(tmp_path):
    path, content = tmp_path / "a.json", {"names": ["ξ", "b"], "number": 0.25, "none": None, "deep": {"1": [1, 2]}}
    checked.write_json(path, content)
    assert checked.read_json(path, content) == content
    whole, noticed = path.read_bytes(), 0
    for place in range(8 * len(whole)):
        flip(path, place)
        try:
            assert checked.read_json(path, content) == content
        except checked.Damaged:
            noticed += 1
        path.write_bytes(whole)
    assert noticed > 0.9 * 8 * len(whole)


def state_of(student: nn.Module) -> checkpoint.TrainingState:
    return checkpoint.TrainingState(
        step=3,
        memories={},
        average={name: value.clone() for name, value in student.state_dict().items()},
        counts=no_counts(torch.device("cpu")),
        passes=torch.ones(2, 4, dtype=torch.float64),
        num_passes=1,
    )


def test_no_flipped_bit_and_no_cut_of_a_checkpoint_reaches_a_student(tmp_path):
    path, student = tmp_path / "checkpoint.pt", nn.Linear(20, 5)
    checkpoint.save(path, "same", student, [], state_of(student))
    whole = path.read_bytes()
    checkpoint.load(path, "same", student, [], state_of(student))
    for place in places(path, 200):
        flip(path, place)
        with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .*delete it to train this student from the b"):
            checkpoint.load(path, "same", student, [], state_of(student))
        path.write_bytes(whole)
    for length in (len(whole) - 1, len(whole) // 2, 40, 1, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .*delete it to train this student from the b"):
            checkpoint.load(path, "same", student, [], state_of(student))


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    path, student = tmp_path / "checkpoint.pt", nn.Linear(2, 2)
    one, other = (
        checkpoint.fingerprint_of(method("hard"), checkpoint.TrainOptions(), 1, 2, 0, content) for content in "ab"
    )
    checkpoint.save(path, one, student, [], state_of(student))
    with pytest.raises(InputError, match="belongs to a run with other options or data"):
        checkpoint.load(path, other, student, [], state_of(student))


def test_no_flipped_bit_of_the_notes_of_a_search_is_used(tmp_path):
    found = StoredResults(folder=tmp_path, fingerprint="one")
    found.add("generation 1, ξ = 0.5", {"score": 0.25, "closed_form": 1.5})
    path = tmp_path / "notes.json"
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        flip(path, place)
        refused = refusal_of(lambda: StoredResults(folder=tmp_path, fingerprint="one").values == found.values)
        assert refused is None or "notes.json" in refused
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["values.bin", "words.bin", "manifest.json", "about.json"])
def test_arrays_are_made_again_where_a_bit_flipped_or_a_file_was_cut(tmp_path, name, caplog):
    rng, made = np.random.default_rng(0), []
    values, words = rng.normal(size=(50, 3)), rng.integers(0, 255, 200).astype(np.uint8)

    def blocks(done):
        made.append(done)
        (tmp_path / "a/about.json").write_text('{"kind": "table"}')
        yield {"values": values, "words": words}

    array_files.fill(tmp_path / "a", "key", blocks)
    whole = (tmp_path / "a" / name).read_bytes()
    for place in places(tmp_path / "a" / name, 12):
        flip(tmp_path / "a" / name, place)
        with caplog.at_level(logging.WARNING, "overproof"):
            found = array_files.fill(tmp_path / "a", "key", blocks)
        assert np.array_equal(found["values"], values)
        assert np.array_equal(found["words"], words)
        assert (tmp_path / "a" / name).read_bytes() == whole or name == "manifest.json"
        assert json.loads((tmp_path / "a/about.json").read_text()) == {"kind": "table"}
    for part in (0.5, 0.0):
        (tmp_path / "a" / name).write_bytes(whole[: int(part * len(whole))])
        found = array_files.fill(tmp_path / "a", "key", blocks)
        assert np.array_equal(found["values"], values)
        assert np.array_equal(found["words"], words)
    assert len(made) > 12
    assert any(name in each.message for each in caplog.records)


@pytest.mark.parametrize("name", ["values.bin", "progress.json"])
def test_unfinished_arrays_with_a_flipped_bit_are_begun_again(tmp_path, name, monkeypatch):
    monkeypatch.setattr(array_files, "SECONDS_BETWEEN_NOTES", 0.0)
    values, asked = np.arange(90, dtype=np.float32).reshape(30, 3), []

    def blocks(done, stop=3):
        asked.append(done)
        for number in range(done, 3):
            if number == stop:
                raise KeyboardInterrupt
            yield {"values": values[10 * number : 10 * number + 10]}

    for place in (5, 333, 777):
        with pytest.raises(KeyboardInterrupt):
            array_files.fill(tmp_path / "a", "key", lambda done: blocks(done, 2))
        flip(tmp_path / "a" / name, place)
        assert np.array_equal(array_files.fill(tmp_path / "a", "key", blocks)["values"], values)
        (tmp_path / "a/manifest.json").unlink()
    assert asked[1::2] == [0, 0, 0] or name == "progress.json"
    # Undamaged, they go on.
    with pytest.raises(KeyboardInterrupt):
        array_files.fill(tmp_path / "a", "key", lambda done: blocks(done, 2))
    array_files.fill(tmp_path / "a", "key", blocks)
    assert asked[-1] == 2


def test_the_cache_of_answers_is_made_again_where_a_bit_flipped_or_it_was_cut(tmp_path, caplog):
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * 60), ID)
    probs = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), 60))
    key = StoreKey(teacher="t", data="d", transform="pool", code=ANSWERS)

    def read():
        return answer(tmp_path, ids, key, tuple("abcd"), lambda rows: probs[rows], mmap=True)

    expected = read().probs().clone()
    caches = sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert len(caches) >= 5
    for path in caches:
        for place in places(path, 5):
            flip(path, place)
            with caplog.at_level(logging.WARNING, "overproof"):
                assert torch.equal(read().probs(), expected)
        for part in (0.5, 0.0):
            path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
            assert torch.equal(read().probs(), expected)
    assert sum("damaged" in each.message for each in caplog.records) >= 5 * (len(caches) - 1)


def test_a_flipped_bit_of_a_manifest_is_refused_by_its_name(tmp_path):
    ids = np.frombuffer(np.random.default_rng(0).bytes(16 * 8), ID)
    probs = torch.full((8, 2), 0.5)
    key = StoreKey(teacher="t", data="d", transform="pool", code=ANSWERS)

    def read():
        return answer(tmp_path, ids, key, ("a", "b"), lambda rows: probs[rows])

    expected = read().probs().clone()
    path = tmp_path / "manifest.json"
    whole = path.read_bytes()
    for place in places(path, 150):
        flip(path, place)
        refused = refusal_of(lambda: torch.equal(read().probs(), expected))
        assert refused is None or "manifest.json" in refused
        path.write_bytes(whole)
