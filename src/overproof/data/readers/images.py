"""Decodes images to pixels: from bytes in a column or from files, of any mode and size."""

import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from overproof.data.columns import Frame, is_string
from overproof.data.inputs import Missing
from overproof.data.source import ImageOptions
from overproof.data.wording import reason
from overproof.errors import InputError

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_ALLOWED = "whole PNG, JPEG, WebP, BMP, GIF and TIFF images are allowed"
_GREY_MODES = ("1", "L", "LA", "La")
_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFolder:
    """The folder of the images that a column names.

    Args:
        path: The folder.
        named: Whether the user named it (`folder`); links out of it are then followed.
    """

    path: Path
    named: bool

    def file(self, name: str, where: str) -> Path:
        """The file of a name, which must be below the folder.

        Args:
            name: A path, relative to the folder.
            where: The row, for error messages.

        Raises:
            InputError: There is no such file, or it is elsewhere.
        """
        if "\0" in name:
            raise InputError(f"{where}: there is no such file in the folder {str(self.path)!r}.")
        top, found = os.path.abspath(self.path), os.path.abspath(self.path / name)
        inside = Path(found).is_relative_to(top)
        if inside and not self.named:
            inside = Path(os.path.realpath(found)).is_relative_to(os.path.realpath(top))
        if not inside:
            raise InputError(
                f"{where}: this file is not below the folder {str(self.path)!r}; name the folder that holds all images "
                f"in `folder`."
            )
        if not os.path.isfile(found):
            raise InputError(f"{where}: there is no such file in the folder {str(self.path)!r}.")
        return Path(found)


def decode(
    frame: Frame, name: str, missing: Missing, options: ImageOptions, folder: "ImageFolder | None"
) -> tuple[Frame, UInt8[Tensor, "N C H W"]]:
    """The images of a column, and the rows that are kept.

    An image is rotated according to its EXIF orientation, transparency becomes white, 16 bits become 8 (65535 is 255),
    and palettes, CMYK and other colour spaces become RGB; then it is fitted to the size in the options.

    Args:
        frame: The rows.
        name: A column of bytes, of structs with a field `bytes`, or of the names of image files.
        missing: "drop" drops rows without an image; otherwise they raise.
        options: How every image is resized and converted.
        folder: The folder that file names are relative to, and below which they must be; None for images that were
            listed, not named by a column.

    Raises:
        InputError: If a row has no image, a damaged or too large one, one of several frames, or one with another size
            or other channels than the first.
    """
    column = frame.column(name)
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    empty = pc.equal(column, "") if is_string(column.type) else pc.equal(pc.binary_length(column), 0)
    gone = pc.fill_null(pc.or_kleene(pc.is_null(column), empty), True).to_numpy(zero_copy_only=False)
    shown = name.lstrip("\0")
    if gone.any() and (missing != "drop" or gone.all()):
        raise InputError(
            f"{frame.name} has no image in column {shown!r}, {frame.at(gone.argmax())}; each row needs one, or set "
            f"`missing` to 'drop'."
        )
    frame, encoded = frame.keep(~gone), column.filter(pa.array(~gone)).to_numpy(zero_copy_only=False)
    with warnings.catch_warnings():
        # An image so large that Pillow warns raises, like one so large that it fails.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Other warnings about a file that can be read are ignored.
        warnings.filterwarnings("ignore", module="PIL")
        first = _pixels(encoded[0], frame, 0, shown, options, folder)
        images = np.empty((len(encoded), *first.shape), np.uint8)
        for index, data in enumerate(encoded):
            image = _pixels(data, frame, index, shown, options, folder) if index else first
            if image.shape != first.shape:
                option = "image.size" if image.shape[1:] != first.shape[1:] else "image.channels"
                raise InputError(
                    f"{frame.name} has {_described(image)} in column {shown!r}, {frame.at(index)}; all must be like "
                    f"{_described(first)} of {frame.row(0)}, or set `{option}` to convert them."
                )
            images[index] = image
    return frame, torch.from_numpy(images)


def is_encoded(kind: pa.DataType) -> bool:
    """Whether an Arrow type can hold encoded images: bytes, or a struct with a field `bytes`."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and is_encoded(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def reshaped(images: UInt8[Tensor, "N C H W"], options: ImageOptions) -> UInt8[Tensor, "N D Y X"]:
    """Decoded images, resized and converted; the same tensor if nothing changes.

    Args:
        images: Grey or RGB.
        options: How to resize and convert them.
    """
    shape = options.shape or tuple(images.shape[2:])
    channels = {"auto": images.shape[1], "grey": 1, "rgb": 3}[options.channels]
    if (channels, *shape) == tuple(images.shape[1:]) and options.crop_share == 1:
        return images
    made = np.empty((len(images), channels, *shape), np.uint8)
    for index, image in enumerate(images.numpy()):
        picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
        made[index] = _array(_fitted(_of_channels(picture, options), options))
    return torch.from_numpy(made)


def _pixels(
    data: bytes | str, frame: Frame, index: int, name: str, options: ImageOptions, folder: "ImageFolder | None"
) -> UInt8[np.ndarray, "C H W"]:
    where = f"{frame.name}, column {name!r}, {frame.at(index)}"
    file: io.BytesIO | Path
    if isinstance(data, bytes):
        file = io.BytesIO(data)
    else:
        where = f"{frame.name}, image file {data!r}, {frame.at(index)}" if name != "image" else _of_file(data, frame)
        file = Path(data) if folder is None else folder.file(data, where)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise InputError(f"{where}: the image has {frames} frames; one is allowed.")
            image.load()
            if image.mode == "F":
                raise InputError(f"{where}: the image has floating point pixels; 8 or 16 bits each are allowed.")
            turned = ImageOps.exif_transpose(image)
            return _array(_fitted(_of_channels(_eight_bits(turned, where), options), options))
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        raise InputError(f"{where}: this is not an image; {_ALLOWED}.") from None
    except _ERRORS as error:
        raise InputError(f"{where}: the image is damaged or too large ({reason(error)}); {_ALLOWED}.") from None


def _of_file(path: str, frame: Frame) -> str:
    """Name of an image file in a folder of images: its own path."""
    role = frame.name.partition(" (")[0]
    return f"{role} ({Path(path).parent.name}/{Path(path).name})"


def _eight_bits(image: Image.Image, where: str) -> Image.Image:
    """Grey images of more than 8 bits, scaled so that 65535 is white; all others unchanged."""
    if not image.mode.startswith("I"):
        return image
    deep = np.asarray(image).astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise InputError(f"{where}: the image has the pixel {deep.max()}; 8 or 16 bits each are allowed.")
    return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))


def _of_channels(image: Image.Image, options: ImageOptions) -> Image.Image:
    """Convert to grey or RGB, with white instead of transparency."""
    grey = image.mode in _GREY_MODES
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    wanted = {"auto": "L" if grey else "RGB", "grey": "L", "rgb": "RGB"}[options.channels]
    return image if image.mode == wanted else image.convert(wanted)


def _fitted(image: Image.Image, options: ImageOptions) -> Image.Image:
    """Fit an image to the size in the options, by antialiased bilinear interpolation."""
    width, height = image.size
    high, wide = options.shape or (height, width)
    if (height, width) == (high, wide) and options.crop_share == 1:
        return image
    if options.fit == "stretch":
        return image.resize((wide, high), Image.Resampling.BILINEAR)
    if options.fit == "pad":
        scale = min(high / height, wide / width)
        inner = (max(round(width * scale), 1), max(round(height * scale), 1))
        canvas = Image.new(image.mode, (wide, high))
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), ((wide - inner[0]) // 2, (high - inner[1]) // 2))
        return canvas
    scale = options.crop_share * min(height / high, width / wide)
    box_width, box_height = wide * scale, high * scale
    left, top = (width - box_width) / 2, (height - box_height) / 2
    box = (max(left, 0.0), max(top, 0.0), min(left + box_width, width), min(top + box_height, height))
    return image.resize((wide, high), Image.Resampling.BILINEAR, box=box)


def _array(image: Image.Image) -> UInt8[np.ndarray, "C H W"]:
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _described(image: UInt8[np.ndarray, "C H W"]) -> str:
    channels, height, width = image.shape
    return f"{'a grey' if channels == 1 else 'an RGB'} image of {height}x{width} pixels"
