"""Under torchrun one process writes and the others wait for it: what each does before and after which wait.

A process that does not wait reads a file that is not there yet; one that waits more often than the others waits for
ever. So both the order and the number of waits are compared, of the process that writes and of one that does not.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from overproof.answers.predictions import compress
from overproof.methods.published import method
from overproof.models import Student
from overproof.storage import checked
from overproof.training import distillation, imitation_search
from overproof.training.examples import AnsweredExamples
from overproof.training.options import TrainOptions
from overproof.training.peer_rounds import peers
from overproof.training.search import cross_validation
from overproof.training.stored_scores import store_scores, stored_scores

EXAMPLES = AnsweredExamples(
    place=torch.arange(6), label=torch.arange(6) % 3, answers=compress(torch.full((6, 3), 1 / 3))
)
STUDENT = SimpleNamespace(probs=lambda placed: torch.zeros(len(placed.place), 3))


@pytest.fixture(params=[True, False], ids=["writes", "does not write"])
def events(request, monkeypatch):
    """What happens, in order, in the process that writes and in another."""
    found = SimpleNamespace(order=[], leads=request.param)

    def noted(word, do=lambda *args, **options: None):
        def call(*args, **options):
            found.order.append(word)
            return do(*args, **options)

        return call

    for module in (distillation, imitation_search, peers, cross_validation):
        monkeypatch.setattr(module, "wait_for_all", noted("wait"))
        monkeypatch.setattr(module, "leads", lambda: request.param)
    read = checked.read_bytes
    monkeypatch.setattr(checked, "bytes_or_none", noted("look", lambda path: read(path) if path.exists() else None))
    monkeypatch.setattr(checked, "read_bytes", noted("read", read))
    monkeypatch.setattr(checked, "read_json", noted("read", checked.read_json))
    monkeypatch.setattr(checked, "write_bytes", noted("write", checked.write_bytes))
    for module in (peers, cross_validation):
        monkeypatch.setattr(
            module, "distilled", noted("train", lambda *args, **options: SimpleNamespace(student=STUDENT))
        )
        monkeypatch.setattr(module, "run_jobs", noted("jobs", lambda jobs, workers: [job() for job in jobs]))
    found.noted = noted
    return found


def expected(events, *words):
    return [word for word in words if events.leads or word != "write"]


def test_notes_are_written_when_all_have_read_them(events, tmp_path):
    imitation_search.StoredResults(folder=tmp_path, fingerprint="a").add("x", 1)
    assert events.order == ["wait"]
    if events.leads:
        events.order.clear()
        assert imitation_search.StoredResults(folder=tmp_path, fingerprint="a").values == {"x": 1}
        assert events.order[-1] == "wait"
        assert "read" in events.order


def test_a_generation_is_there_when_any_process_goes_on(events, tmp_path):
    learner = object.__new__(Student)
    object.__setattr__(learner, "module", torch.nn.Linear(2, 3))
    made = SimpleNamespace(folder=tmp_path, content="a", train=events.noted("train"))
    distillation._Trainings.generation(made, learner, method("born_again"), EXAMPLES, None, 0, 1)
    assert events.order == expected(events, "look", "train", "write", "wait")
    assert (tmp_path / "generation-1.safetensors").exists() == events.leads


def test_a_peer_is_looked_for_before_it_is_written(events, tmp_path):
    made = SimpleNamespace(
        fresh=lambda: STUDENT,
        data=SimpleNamespace(with_roles=lambda roles: None, inputs=torch.zeros(6, 2)),
        fold=torch.arange(6) % 2,
        method=method("hard"),
        train=TrainOptions(),
        seed=0,
        answered={"labelled": EXAMPLES, "pool": EXAMPLES},
        predicted=lambda number, fold: torch.arange(3),
        _whose=lambda number, fold: f"{number} {fold}",
    )
    path = tmp_path / "peer.safetensors"
    peers.Peers._peer(made, 0, 0, {"labelled": EXAMPLES}, path)
    assert events.order == expected(events, "look", "wait", "train", "write", "wait")
    store_scores(path, {"pool": torch.zeros(3, 3)}, "0 0")
    events.order.clear()
    peers.Peers._peer(made, 0, 0, {"labelled": EXAMPLES}, path)
    assert events.order == ["look", "wait"]


def test_peers_are_read_when_all_are_written(events, tmp_path):
    scores = {"pool": torch.zeros(3, 3), "labelled": torch.zeros(3, 3)}
    made = SimpleNamespace(
        num_folds=2,
        options=SimpleNamespace(workers=1),
        fold=torch.arange(6) % 2,
        untrained=SimpleNamespace(class_names="abc"),
        answered={},
        _peer=lambda number, fold, chain, path: store_scores(path, scores, f"{number} {fold}"),
        _stored=lambda number, fold, path: stored_scores(path, f"{number} {fold}"),
    )
    values = peers.Peers._trained(made, 0, [{}, {}], tmp_path)
    assert events.order == ["jobs", "write", "write", "wait", "look", "look"]
    assert set(values) == {"pool-by-0", "pool-by-1", "labelled"}


def test_scores_are_written_by_one_and_then_read_by_the_others(events, tmp_path):
    made = SimpleNamespace(
        fingerprint_folder=tmp_path,
        ids={"pool": torch.zeros(6, 2, dtype=torch.int64), "labelled": torch.zeros(6, 2, dtype=torch.int64)},
        num_folds=2,
        predicted=lambda number, fold: torch.arange(6),
        answered={"labelled": EXAMPLES},
        _trained=events.noted("train", lambda number, chains, folder: {}),
        _kept=events.noted("keep", lambda *given: SimpleNamespace(probs=lambda: torch.zeros(6, 3))),
        _pooled=lambda number, chains: torch.zeros(6, 3),
    )
    peers.Peers.scored(made, 0, [{}, {}])
    own = ["keep", "keep", "keep"]
    turns = [*own, "wait", "wait"] if events.leads else ["wait", *own, "wait"]
    assert events.order == ["wait", "train", *turns]


@dataclass(frozen=True)
class Data:
    """What a student of a fold is trained on."""

    pool: AnsweredExamples = EXAMPLES
    inputs: torch.Tensor = field(default_factory=lambda: torch.zeros(6, 2))


def test_the_student_of_a_fold_is_looked_for_before_it_is_written(events, tmp_path):
    made = SimpleNamespace(
        fresh=lambda: STUDENT,
        data=Data(),
        order=torch.arange(6),
        num_pool=lambda share: 6,
        seed=0,
        _split=lambda fold: (Data(), {"labelled": EXAMPLES.place}),
    )
    trial, path = cross_validation.Trial(method=method("hard"), train=TrainOptions()), tmp_path / "a.safetensors"
    cross_validation.CrossValidation._student(made, trial, 0, path)
    assert events.order == expected(events, "look", "wait", "train", "write", "wait")
    store_scores(path, {"labelled": torch.zeros(6, 3)}, path.stem)
    events.order.clear()
    cross_validation.CrossValidation._student(made, trial, 0, path)
    assert events.order == ["look", "wait"]


def test_trials_are_read_when_all_students_are_written(events, tmp_path):
    made = SimpleNamespace(
        folder=tmp_path,
        num_folds=2,
        workers=1,
        _path=lambda trial, fold: tmp_path / f"{fold}",
        _student=events.noted("student"),
        _joined=events.noted("join", lambda trial: torch.zeros(1, 1)),
    )
    trial = cross_validation.Trial(method=method("hard"), train=TrainOptions())
    cross_validation.CrossValidation.probs(made, [trial])
    assert events.order == ["jobs", "student", "student", "wait", "join"]
