"""A fitted classifier and a torch module say what their outputs mean, or are asked; compared with the tools' own."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import skops.io
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models.importing import allowing
from overproof.teachers import opened, remarks_of

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(80, 3))
TABLE = from_arrays(pa.table({f"f{index}": X[:, index] for index in range(3)}), origin="pool")
TWO = np.array(["no", "yes"])[(X[:, 0] + 0.5 * DRAW.normal(size=80) > 0).astype(int)]


def skops_of(path: Path, model) -> Path:
    skops.io.dump(model, path)
    return path


def probs_of(path: Path | str, names=("yes", "no"), examples=TABLE, **options):
    return opened(str(path), options, names, examples=examples).probs(examples).numpy()


# --- scikit-learn


def test_a_tuned_threshold_is_asked_for(tmp_path: Path):
    model = FixedThresholdClassifier(LogisticRegression(), threshold=0.2).fit(X, TWO)
    path = skops_of(tmp_path / "a.skops", model)
    trusted = ["sklearn.model_selection._classification_threshold.FixedThresholdClassifier"]
    differ = int((model.predict(X) != model.classes_[model.predict_proba(X).argmax(axis=1)]).sum())
    assert differ > 5
    with allowing(*(f"{each.rpartition('.')[0]}:{each.rpartition('.')[2]}" for each in trusted)):
        words = rf"another class than that of its largest score in {differ} of 80 rows .*decision: predict'"
        with pytest.raises(InputError, match=words):
            probs_of(path)
        np.testing.assert_allclose(probs_of(path, decision="probabilities"), model.predict_proba(X)[:, [1, 0]])
        found = probs_of(path, decision="predict")
    np.testing.assert_array_equal(np.array(["yes", "no"])[found.argmax(axis=1)], model.predict(X))
    np.testing.assert_array_equal(found.max(axis=1), 1)


def test_several_labels_an_example_are_asked_for(tmp_path: Path):
    labels = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0], axis=1).astype(int)
    model = OneVsRestClassifier(LogisticRegression()).fit(X, labels)
    path, names = skops_of(tmp_path / "a.skops", model), ("0", "1", "2")
    with pytest.raises(InputError, match=r"no probabilities, and predict_proba must give them; .*scores: sigmoid'"):
        probs_of(path, names)
    expected = model.predict_proba(X)
    found = probs_of(path, names, scores="sigmoid", decision="probabilities")
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True))


def test_one_against_the_rest_answers_as_it_is(tmp_path: Path):
    model = OneVsRestClassifier(LogisticRegression()).fit(X, np.array(list("abc"))[np.argmax(X, axis=1)])
    found = probs_of(skops_of(tmp_path / "a.skops", model), ("b", "c", "a"))
    np.testing.assert_allclose(found, model.predict_proba(X)[:, [1, 2, 0]])


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is no dependency")
@pytest.mark.slow
def test_a_pipeline_that_passes_columns_through_gets_a_frame(tmp_path: Path):
    frame = TABLE.inputs.to_pandas()
    columns = make_column_transformer((StandardScaler(), ["f0"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(frame, TWO)
    found = probs_of(skops_of(tmp_path / "a.skops", model))
    np.testing.assert_allclose(found, model.predict_proba(frame)[:, [1, 0]])


# --- torch modules


class Ends(nn.Module):
    """A linear layer, and what a module may end in."""

    def __init__(self, inputs: int, classes: int, last: str):
        super().__init__()
        self.layer, self.last = nn.Linear(inputs, classes), last

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.layer(inputs.flatten(1))
        return {
            "nothing": lambda: logits,
            "softmax": lambda: logits.softmax(dim=1),
            "log_softmax": lambda: logits.log_softmax(dim=1),
            "sigmoid": lambda: logits.sigmoid(),
        }[self.last]()


def ends(input_shape: tuple[int, ...], num_classes: int, *, last: str = "nothing") -> nn.Module:
    return Ends(int(np.prod(input_shape)), num_classes, last)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Opens the factory above with weights of its own, and gives its layer beside the probabilities."""
    (tmp_path / "ends_of.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import ends_of

    monkeypatch.setattr(ends_of, "ends", ends, raising=False)

    def of(examples, scale: float = 1.0, **options):
        torch.manual_seed(0)
        layer = ends(tuple(examples.inputs.shape[1:]) if examples.kind == "image" else (3,), 3)
        with torch.no_grad():
            layer.layer.weight.mul_(scale)
        safetensors.torch.save_file(layer.state_dict(), tmp_path / "w.safetensors")
        with allowing("ends_of:ends"):
            teacher = opened(
                "ends_of:ends",
                options,
                ("a", "b", "c"),
                examples=examples,
                classes=("a", "b", "c"),
                weights=str(tmp_path / "w.safetensors"),
            )
            return teacher.probs(examples), layer

    return of


def test_a_module_that_ends_in_a_softmax_is_asked_about(module):
    inputs = torch.from_numpy(X).float()
    plain, layer = module(TABLE)
    logits = layer(inputs).detach()
    torch.testing.assert_close(plain, logits.softmax(dim=1))
    torch.testing.assert_close(module(TABLE, last="log_softmax")[0], logits.softmax(dim=1))
    with pytest.raises(InputError, match=r"rows that sum to 1, as probabilities do .*'teacher.options.scores: probab"):
        module(TABLE, last="softmax")
    torch.testing.assert_close(module(TABLE, last="softmax", scores="probabilities")[0], logits.softmax(dim=1))
    with pytest.raises(InputError, match=r"between 0 and 1, as of a sigmoid .*'teacher.options.scores: sigmoid'"):
        module(TABLE, last="sigmoid")
    found, each = module(TABLE, last="sigmoid", scores="sigmoid")[0], logits.sigmoid()
    torch.testing.assert_close(found, each / each.sum(dim=1, keepdim=True))
    torch.testing.assert_close(module(TABLE, last="sigmoid", scores="logits")[0], each.softmax(dim=1))


def test_weights_of_half_precision_are_said(module, tmp_path: Path):
    _, layer = module(TABLE)
    half = {name: value.to(torch.bfloat16) for name, value in layer.state_dict().items()}
    for values, said in ((half, 1), (layer.state_dict(), 0)):
        safetensors.torch.save_file(values, tmp_path / "w.safetensors")
        names = ("a", "b", "c")
        with allowing("ends_of:ends"):
            weights = str(tmp_path / "w.safetensors")
            teacher = opened("ends_of:ends", {}, names, examples=TABLE, classes=names, weights=weights)
        found = remarks_of(teacher, TABLE)
        assert len(found) == said
        assert all("has weights in bfloat16; they are computed with in float32" in each for each in found)


def test_a_module_that_scales_its_pixels_is_asked_about(module):
    images = torch.randint(0, 256, (60, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    photos = from_arrays(images, origin="photos")
    with pytest.raises(InputError, match=r"almost the same answer .*'teacher.options.pixels: bytes' or 'pixels: unit'"):
        module(photos, scale=1 / 255)
    found, layer = module(photos, scale=1 / 255, pixels="bytes")
    torch.testing.assert_close(found, layer(images.float()).detach().softmax(dim=1), atol=1e-5, rtol=0)
    found, layer = module(photos, scale=1 / 255, pixels="unit")
    torch.testing.assert_close(found, layer(images / 255).detach().softmax(dim=1), atol=1e-5, rtol=0)
