"""A frozen encoder of sentence-transformers or SetFit from a folder, and a logistic head trained on the labels."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from overproof.data import Examples, Kind
from overproof.data.wording import listed, reason
from overproof.errors import InputError
from overproof.models.frozen.texts import quiet
from overproof.models.tensor_files import put_tensors, read_tensors
from overproof.models.transformer import check_config
from overproof.teachers.brought.cut_texts import texts_cut_by
from overproof.teachers.brought.hugging_face_config import is_sentence_folder
from overproof.teachers.brought.hugging_face_texts import Texts, texts_for
from overproof.teachers.kind import Named, TrainedKind, TrainingSetting
from overproof.teachers.scorers import checked_options, hash_of_files, said_of_weights
from overproof.teachers.trained.frozen_encoder import FrozenEncoder

AT_ONCE = 8
"""Texts in a batch; a smaller one is filled up, because the last bits of a matrix product depend on its rows."""

POOLING: Mapping[str, str] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}
"""What each of the flags of earlier versions is called in `pooling_mode`."""

OTHER_POOLING = ("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")

ACTIVATIONS = {"torch.nn.modules.activation.Tanh": nn.Tanh, "torch.nn.modules.linear.Identity": nn.Identity}

SETFIT = "config_setfit.json"

READ = (".json", ".txt", ".model", ".safetensors")
"""The ends of the names of the files that an encoder is made from."""


class SentenceOptions(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a folder of sentence-transformers is used.

    Args:
        max_tokens: A text is cut after that many tokens; by default where the model's own files say.
        head: `refit` for a SetFit model: its own head is a pickle, which is not read.
    """

    max_tokens: int | None = pydantic.Field(None, ge=2)
    head: Literal["", "refit"] = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SentenceEncoder:
    """The encoder that a `modules.json` describes: a transformer, a pooling over tokens, and what follows.

    Args:
        fingerprint: The hash of its files, and how it is applied.
        model: The transformer, in evaluation mode.
        texts: Its tokenizer.
        pooling: `mean`, `cls`, `max` or `lasttoken`.
        last: What follows the pooling.
        prompt: Stands before every text.
        lower: Whether texts are lowered first.
        normalised: Whether vectors have length 1.
        stored_as: The type of its weights, such as `bfloat16`; "" where its configuration does not say.
    """

    fingerprint: str
    model: Any = field(repr=False)
    texts: Texts = field(repr=False)
    pooling: str
    last: nn.Module = field(repr=False)
    prompt: str
    lower: bool
    normalised: bool
    stored_as: str = ""

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector per text, in order.

        Args:
            texts: N texts.
        """
        given = self._read(texts)
        found: list[tuple[Tensor, Tensor]] = []
        with quiet(), torch.inference_mode():
            for rows, batch in self.texts.batches(given, AT_ONCE):
                filled = {
                    name: torch.cat([each, each[:1].expand(AT_ONCE - len(rows), -1)]) for name, each in batch.items()
                }
                tokens = self.model(**filled).last_hidden_state.float()
                vectors = self.last(_pooled(tokens, self.pooling))[: len(rows)]
                found.append((rows, nn.functional.normalize(vectors, dim=1) if self.normalised else vectors))
        if not found:
            return torch.empty(0, self.model.config.hidden_size)
        rows, vectors = (torch.cat(each) for each in zip(*found, strict=True))
        return vectors[rows.argsort()].clone()

    @property
    def max_tokens(self) -> int:
        """Texts are cut after so many tokens."""
        return self.texts.max_tokens

    def whole_lengths(self, texts: Sequence[str]) -> Int64[Tensor, "N"]:
        """The numbers of tokens of texts that are not cut.

        Args:
            texts: N texts.
        """
        return self.texts.whole_lengths(self._read(texts))

    def _read(self, texts: Sequence[str]) -> list[str]:
        return [self.prompt + (text.strip().lower() if self.lower else text) for text in texts]


def _pooled(tokens: Float[Tensor, "n L D"], pooling: str) -> Float[Tensor, "n D"]:
    """One vector a text, whose tokens are all its own: none is padding."""
    match pooling:
        case "mean":
            return tokens.mean(dim=1)
        case "cls":
            return tokens[:, 0]
        case "max":
            return tokens.max(dim=1).values
    return tokens[:, -1]


def open_sentence_folder(folder: Path, options: Mapping[str, Any]) -> SentenceEncoder:
    """The encoder in a folder of sentence-transformers or SetFit; nothing of it is run, weights are safetensors alone.

    Cross-validation asks for it fold by fold, and the count of cut texts at the end: while its files stay as they are,
    it is opened once.

    Args:
        folder: With `modules.json`.
        options: `SentenceOptions`.

    Raises:
        InputError: transformers is not installed; parts that are not read, each named; the head of a SetFit model, of
            which no option says that it is fitted anew.
    """
    chosen = checked_options(SentenceOptions, options, f"teacher ({folder})")
    return _opened(folder, chosen, hash_of_files(sorted(each for each in folder.rglob("*") if _is_read(each))))


@functools.lru_cache(maxsize=1)
def _opened(folder: Path, chosen: SentenceOptions, content: str) -> SentenceEncoder:
    who = f"teacher ({folder})"
    setfit = _json(folder / SETFIT, who) if (folder / SETFIT).is_file() else None
    if setfit is not None and chosen.head != "refit":
        raise InputError(
            f"{who} is a SetFit model, whose head (model_head.pkl) is a pickle, which is not read; "
            f"'teacher.options.head: refit' trains a logistic head on your labels instead, and 'teacher.answers' reads "
            f"a file of its own answers."
        )
    parts = _parts(folder, who)
    first = _json(parts[0][1] / "sentence_bert_config.json", who, missing={})
    _check_plain(first, who)
    general = _json(folder / "config_sentence_transformers.json", who, missing={})
    prompts, default = general.get("prompts") or {}, general.get("default_prompt_name")
    pooling = _pooling(_json(parts[1][1] / "config.json", who), bool(default and prompts.get(default)), who)
    last, normalised = nn.Sequential(), bool((setfit or {}).get("normalize_embeddings"))
    for kind, place in parts[2:]:
        if kind == "Normalize":
            normalised = True
        else:
            last.append(_dense(place, who))
    config = _json(parts[0][1] / "config.json", who)
    model, tokenizer, version = _loaded(parts[0][1], who)
    longest = chosen.max_tokens or first.get("max_seq_length")
    texts = texts_for(model, tokenizer, longest if isinstance(longest, int) else None, who)
    files = sorted(each for _, place in parts for each in _files(place))
    made = {"max_tokens": texts.max_tokens, "rows": AT_ONCE, "pooling": pooling, "normalised": normalised}
    return SentenceEncoder(
        fingerprint=f"sentence folder {json.dumps(made, sort_keys=True)} transformers={version} "
        f"files={hash_of_files([*files, *sorted(folder.glob('config_s*.json'))])}",
        model=model,
        texts=texts,
        pooling=pooling,
        last=last.eval(),
        prompt=str(prompts.get(default) or "") if default else "",
        lower=bool(first.get("do_lower_case")),
        normalised=normalised,
        stored_as=str(config.get("dtype") or config.get("torch_dtype") or ""),
    )


def _json(path: Path, who: str, missing: Any = None) -> Any:
    if missing is not None and not path.is_file():
        return missing
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{who}: {path.name} cannot be read: {reason(error)}.") from None


def _files(place: Path) -> list[Path]:
    # A Normalize of earlier versions has no folder.
    return [each for each in place.iterdir() if _is_read(each)] if place.is_dir() else []


def _is_read(path: Path) -> bool:
    return path.suffix in READ and path.is_file()


def _parts(folder: Path, who: str) -> list[tuple[str, Path]]:
    """The parts of an encoder by the last word of their type, and where each is.

    Raises:
        InputError: Others than a transformer, a pooling, dense layers and a normalisation, in this order.
    """
    listing = _json(folder / "modules.json", who)
    try:
        kinds = [str(each["type"]).rpartition(".")[2] for each in listing]
        own = all(str(each["type"]).startswith("sentence_transformers.") for each in listing)
        places = [str(each["path"]) for each in listing]
    except (TypeError, KeyError):
        raise InputError(f"{who}: modules.json is no list of parts with type and path.") from None
    if not own or kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
        raise InputError(
            f"{who} has the parts {listed(kinds)}; a Transformer, a Pooling and then Dense or Normalize of "
            f"sentence-transformers are read. Write its answers into a file, for 'teacher.answers', or give "
            f"'frozen_encoder' with an import path of your own."
        )
    if any(Path(place).is_absolute() or ".." in Path(place).parts for place in places):
        raise InputError(f"{who}: modules.json names {listed(places)}, not all of them below its folder.")
    return [(kind, folder / place) for kind, place in zip(kinds, places, strict=True)]


def _check_plain(config: Mapping[str, Any], who: str) -> None:
    """Refuse a transformer that sentence-transformers applies in another way than to the tokens of a text.

    Raises:
        InputError: It does, with the key.
    """
    known = {"max_seq_length", "do_lower_case", "transformer_task", "modality_config", "module_output_name"}
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    plain = {"transformer_task": ("feature-extraction",), "modality_config": ({"text": text},)}
    odd = [key for key, value in config.items() if key not in known and value not in (None, {})]
    odd += [key for key, allowed in plain.items() if config.get(key, allowed[0]) not in allowed]
    if odd:
        raise InputError(
            f"{who}: sentence_bert_config.json has {listed(odd)}, which is not read; write its answers into a file, "
            f"for 'teacher.answers'."
        )


def _pooling(config: Mapping[str, Any], prompted: bool, who: str) -> str:
    """The one way in which tokens are pooled.

    Raises:
        InputError: Several, or another; a prompt that is left out of it.
    """
    mode = config.get("pooling_mode")
    flags = [key for key in (*POOLING, *OTHER_POOLING) if config.get(key)]
    modes = [mode] if isinstance(mode, str) else list(mode or [POOLING.get(key, key) for key in flags])
    if len(modes) != 1 or modes[0] not in POOLING.values():
        raise InputError(f"{who} pools tokens by {listed(modes)}; one of {listed(POOLING.values())} is read.")
    if prompted and config.get("include_prompt") is False:
        raise InputError(f"{who} leaves its prompt out of the pooling (include_prompt is false), which is not read.")
    return str(modes[0])


def _dense(place: Path, who: str) -> nn.Module:
    config = _json(place / "config.json", who)
    activation = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    plain = config.get("module_input_name", "sentence_embedding") == "sentence_embedding"
    if activation not in ACTIVATIONS or config.get("use_residual") or not plain:
        raise InputError(
            f"{who} has a Dense layer with {activation!r}; {listed(ACTIVATIONS)} without a residual are read. Write "
            f"its answers into a file, for 'teacher.answers'."
        )
    layer = nn.Linear(int(config["in_features"]), int(config["out_features"]), bias=bool(config.get("bias", True)))
    stored = read_tensors(str(place / "model.safetensors"), "teacher.model")
    own = {name.removeprefix("linear."): value for name, value in stored.items()}
    put_tensors(layer, own, f"teacher.model {str(place)!r}")
    return nn.Sequential(layer, ACTIVATIONS[activation]())


def _loaded(place: Path, who: str) -> tuple[Any, Any, str]:
    try:
        import transformers
    except ImportError:
        raise InputError(
            f"{who} needs the package transformers; install it with: pip install 'overproof[text]'."
        ) from None
    config = _json(place / "config.json", who)
    check_config({key: value for key, value in config.items() if key.endswith("_implementation")}, f"config of {who}")
    if not list(place.glob("*.safetensors")):
        raise InputError(
            f"{who} holds no safetensors; only such weights are read: save the model anew with save_pretrained."
        )
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            model, info = transformers.AutoModel.from_pretrained(
                place, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, **local)
    except Exception as error:
        raise InputError(f"{who} cannot be loaded: {reason(error)}.") from None
    if lacking := [name for name in sorted(info["missing_keys"]) if "pooler" not in name]:
        # transformers would draw them at random. The pooler is not used.
        raise InputError(f"{who} lacks the weights {listed(lacking, limit=5)}.")
    return model.eval(), tokenizer, transformers.__version__


class SentenceFolder(TrainedKind):
    """A folder with the `modules.json` of a sentence encoder."""

    def matches(self, named: Named) -> bool:
        """A CrossEncoder has one too, and is a classifier."""
        return is_sentence_folder(named.model) and not named.weights

    def files(self, named: Named) -> list[Path]:
        """All that its vectors follow from."""
        folder = Path(named.model).expanduser()
        return sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))

    def check(self, named: Named, option: str, kind: Kind | None) -> None:
        """That the data are texts."""
        if kind not in (None, "text"):
            raise InputError(
                f"Option '{option}.model' is a sentence encoder, which reads texts; the data are of kind {kind!r}."
            )

    def remarks(self, named: Named, examples: Examples) -> list[str]:
        """How many texts are cut, and weights of less precision than the computation."""
        embedder = open_sentence_folder(Path(named.model).expanduser(), named.options)
        who = f"sentence encoder {named.model}"
        said = said_of_weights(who, embedder.stored_as, "sentence-transformers")
        return [*said, *texts_cut_by(embedder, who, examples)]

    def make(self, named: Named, setting: TrainingSetting) -> FrozenEncoder:
        """The encoder, and a head to be fitted."""
        embedder = open_sentence_folder(Path(named.model).expanduser(), named.options)
        if setting.fitting[0].kind != "text":
            raise InputError(f"teacher.model {named.model!r} reads text; the data are {setting.fitting[0].kind!r}.")
        return FrozenEncoder(
            embedder=embedder,
            scaled=not embedder.normalised,
            examples=setting.everyone(),
            folder=setting.folder,
            progress=setting.progress,
        )
