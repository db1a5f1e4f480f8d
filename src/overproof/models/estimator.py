"""A scikit-learn classifier as a student: a torch module whose logits are the classifier's log-probabilities."""

import importlib.util
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.functional import SMALLEST_PROBABILITY
from overproof.models.classifiers import TYPES
from overproof.models.importing import allowed
from overproof.models.trees import check_trees

ARCHIVE, IDF = "archive", "idf"


class EstimatorBody(nn.Module):
    """A classifier that is fitted at once, not step by step. It has no gradient.

    Its state is a skops archive in a buffer, so that it is saved, copied, loaded and hashed like any module, without
    pickle. Before it is fitted, all classes have the same probability.

    Args:
        factory: The estimator's class.
        options: Its arguments.
        path: Its import path, for error messages.
        input_shape: Shape of one example.
        num_classes: K.
    """

    archive: UInt8[Tensor, "_"]
    idf: Float[Tensor, "_"]

    def __init__(
        self,
        factory: Callable[..., Any],
        options: Mapping[str, Any],
        path: str,
        input_shape: tuple[int, ...],
        num_classes: int,
    ) -> None:
        super().__init__()
        if importlib.util.find_spec("skops") is None:
            raise InputError(
                f"Student {path!r} needs the package skops; install it with: pip install 'overproof[sklearn]'."
            )
        self.factory, self.options, self.path, self.num_classes = factory, dict(options), path, num_classes
        self.allow_import = allowed()
        made = self.unfitted()
        lacking = [name for name in ("fit", "predict_proba") if not hasattr(made, name)]
        if lacking or not _takes_weights(made):
            what = f"has no {lacking[0]}" if lacking else "does not take sample_weight in fit"
            raise InputError(f"Student {path!r} {what}; a classifier with probabilities and sample weights is needed.")
        self._estimator: Any = None
        self.register_buffer(ARCHIVE, torch.empty(0, dtype=torch.uint8))
        # Inverse document frequency of n-grams if the examples are texts; unused for tables.
        self.register_buffer(IDF, torch.ones(input_shape[0] if len(input_shape) == 1 else 0))

    def unfitted(self) -> Any:
        """A new classifier with the student's options.

        Raises:
            InputError: The class does not take them.
        """
        try:
            return self.factory(**self.options)
        except TypeError as error:
            raise InputError(f"Student {self.path!r} does not take student.options: {reason(error)}.") from None

    @property
    def estimator(self) -> Any:
        """The fitted classifier, or None.

        Raises:
            InputError: The archive has types that are not trusted, or holds another estimator.
        """
        if self._estimator is None and len(self.archive):
            estimator = opened(bytes(self.archive.cpu().numpy().tobytes()), self.path, self.allow_import)
            if not isinstance(estimator, type(self.unfitted())):
                raise InputError(
                    f"The archive of student {self.path!r} holds a {type(estimator).__name__}; it belongs to another "
                    f"student."
                )
            self._estimator = estimator
        return self._estimator

    @property
    def num_numbers(self) -> int:
        """Size of its fitted arrays; 0 before it is fitted."""
        if not len(self.archive):
            return 0
        with zipfile.ZipFile(io.BytesIO(self.archive.cpu().numpy().tobytes())) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = [np.load(archive.open(name), allow_pickle=False) for name in names]
        return sum(array.size for array in arrays if array.dtype.kind == "f")

    def matrix(self, inputs: Shaped[Tensor, "B ..."]) -> Any:
        """Examples in scikit-learn's form: float32 [B, D], or for n-grams a sparse matrix of their inverse document
        frequencies, with rows of length one."""
        if inputs.dtype != torch.int64:
            return inputs.flatten(1).float().cpu().numpy()
        from scipy.sparse import csr_array

        ngrams = inputs.cpu()
        present = ngrams > 0
        columns = ngrams[present]
        counts, weights = present.sum(dim=1), self.idf[columns].double()
        owner = torch.repeat_interleave(torch.arange(len(ngrams)), counts)
        length = torch.zeros(len(ngrams)).double().index_add_(0, owner, weights.square()).sqrt().clamp(min=1e-12)
        data = (weights / length[owner]).float().numpy()
        ends = np.concatenate([[0], counts.cumsum(0).numpy()])
        return csr_array((data, columns.numpy(), ends), shape=(len(ngrams), len(self.idf)))

    def fit(self, matrix: Any, label: np.ndarray, weight: np.ndarray, seed: int) -> None:
        """Replace the classifier by a newly fitted one.

        Args:
            matrix: [M, D], from `matrix`.
            label: [M], classes.
            weight: [M], at least 0.
            seed: The `random_state`, if the classifier has one and the options do not set it.

        Raises:
            InputError: The classifier cannot be fitted on the examples.
        """
        estimator = self.unfitted()
        if estimator.get_params().get("random_state", seed) is None:
            estimator.set_params(random_state=seed % 2**32)
        try:
            estimator.fit(matrix, label, sample_weight=weight)
        except (TypeError, ValueError) as error:
            raise InputError(f"Student {self.path!r} cannot be fitted on these examples: {reason(error)}.") from None
        self._estimator = estimator
        self.archive = torch.frombuffer(bytearray(archived(estimator)), dtype=torch.uint8)

    def forward(self, inputs: Shaped[Tensor, "B ..."]) -> Float[Tensor, "B K"]:
        """Logarithms of its probabilities, at least log 1e-7, which is also the value of a class without examples."""
        logits = torch.zeros(len(inputs), self.num_classes)
        if self.estimator is None or not len(inputs):
            return logits
        probs = torch.from_numpy(np.asarray(self.estimator.predict_proba(self.matrix(inputs)), np.float64))
        logits.fill_(float(np.log(SMALLEST_PROBABILITY)))
        seen = torch.from_numpy(np.asarray(self.estimator.classes_)).long()
        logits[:, seen] = probs.clamp(min=SMALLEST_PROBABILITY).log().float()
        return logits

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *words: Any) -> None:
        # Archives differ in size.
        if (given := state_dict.get(f"{prefix}{ARCHIVE}")) is not None:
            self.archive, self._estimator = given.detach().clone(), None
        super()._load_from_state_dict(state_dict, prefix, *words)


def body_of(module: nn.Module) -> EstimatorBody | None:
    """The estimator in a student's module, or None if it is a network."""
    return next((each for each in module.modules() if isinstance(each, EstimatorBody)), None)


def stacked(parts: Sequence[Any]) -> Any:
    """The rows of several matrices of `EstimatorBody.matrix`, in order, as one.

    Example:
        >>> stacked([np.ones((1, 2)), np.zeros((1, 2))]).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    from scipy.sparse import issparse, vstack

    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)


def archived(estimator: Any) -> bytes:
    """A fitted estimator as a skops archive, with the same bytes for the same estimator.

    skops identifies objects by their addresses in memory and stores the time of writing; here they are numbered in
    order of appearance and dated 1980.
    """
    import skops.io

    written = zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator)))
    schema, numbers = json.loads(written.read("schema.json")), dict[int, int]()
    files: dict[str, str] = {}

    def renumbered(node: Any) -> Any:
        if isinstance(node, list):
            return [renumbered(each) for each in node]
        if not isinstance(node, dict):
            return node
        found = {}
        for key, value in node.items():
            if key == "__id__" and isinstance(value, int):
                value = numbers.setdefault(value, len(numbers) + 1)
            elif key == "file" and isinstance(value, str) and value in names:
                value = files.setdefault(value, f"{len(files)}{value[value.rindex('.') :]}")
            found[key] = renumbered(value)
        return found

    names = set(written.namelist()) - {"schema.json"}
    text = json.dumps(renumbered(schema), indent=2, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for old, new in files.items():
            archive.writestr(zipfile.ZipInfo(new), written.read(old), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("schema.json"), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def opened(archive: bytes, path: str, allow_import: Iterable[str] = ()) -> Any:
    """Load the estimator from an archive.

    Args:
        archive: From `archived`.
        path: The import path of its class, for error messages.
        allow_import: Import paths of types that the user trusts, besides those that skops trusts and those in the
            classifiers of scikit-learn.

    Raises:
        InputError: It has other types; the message lists them.
    """
    import skops.io

    trusted = TYPES | {each.replace(":", ".") for each in allow_import}
    unknown = skops.io.get_untrusted_types(data=archive)
    if strange := [name for name in unknown if name not in trusted]:
        raise InputError(
            f"The archive of student {path!r} has types that are not trusted: {listed(strange)}; allow each with "
            f"--allow-import package.module:name (in Python: allow_import) if you know what they do."
        )
    with warnings.catch_warnings():
        # Warnings about another version of scikit-learn; an incompatible one raises.
        warnings.simplefilter("ignore")
        estimator = skops.io.loads(archive, trusted=unknown)
    check_trees(estimator, f"The archive of student {path!r}")
    return estimator


def _takes_weights(estimator: Any) -> bool:
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "sample_weight"))
