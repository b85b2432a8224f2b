"""The planted copies: every edit that a copy may have gone through, at the strengths that an audit tries.

Strengths that count pixels are shares of the side, so that a film of any size gets the same edit; `of 224` means
pixels of a film of 224. Edits with two strengths form a family, the weaker first: where power falls along a family
is what a reader wants to know. Axes: (Y, X) pixels, float32 in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from medaudit.images import transforms as edit

Edit = Callable[[np.ndarray, np.random.Generator], np.ndarray]

BOX = (40 / 224, 120 / 224)  # height and width of the text box, as shares of the sides


@dataclass(frozen=True)
class Donor:
    """What an edit may need beside the film: a film of another patient, and an autoencoder's round trip."""

    other: np.ndarray | None = None
    round_trip: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Plant:
    """A kind of planted copy: `words` finish "copies ...", `strength` is what a table prints."""

    kind: str
    family: str
    strength: str
    words: str
    edit: Callable[[np.ndarray, np.random.Generator, Donor], np.ndarray]
    needs: str = ""  # a field of Donor
    either: bool = False  # whether naming the donor's patient is as right


def _plain(kind: str, family: str, strength: str, words: str, change: Edit) -> Plant:
    return Plant(kind, family, strength, words, lambda image, rng, donor: change(image, rng))


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _shifted(image: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """By `share` of the side along both axes, at least a pixel, each to a side drawn by chance."""
    down, right = (max(1, round(share * side)) for side in image.shape)
    return edit.shift(image, _sign(rng) * down, _sign(rng) * right)


def _turned(image: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    return edit.rotate(image, _sign(rng) * degrees)


def _turned_and_cropped(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return edit.crop_zoom(_turned(image, rng, 10), 0.85)


def _boxed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A white box where chance puts it."""
    height, width = (max(1, round(share * side)) for share, side in zip(BOX, image.shape, strict=True))
    top, left = (
        int(rng.integers(0, side - part + 1)) for side, part in zip(image.shape, (height, width), strict=True)
    )
    return edit.occlude(image, top, left, height, width)  # fmt: skip


def _blended(image: np.ndarray, rng: np.random.Generator, donor: Donor, share: float) -> np.ndarray:
    assert donor.other is not None
    return edit.blend(image, donor.other, share)


def _round_trip(image: np.ndarray, rng: np.random.Generator, donor: Donor) -> np.ndarray:
    assert donor.round_trip is not None
    return donor.round_trip(image)


_GEOMETRY: tuple[Edit, ...] = (
    lambda image, rng: edit.mirror(image),
    partial(_shifted, share=0.04),
    partial(_turned, degrees=5),
    lambda image, rng: edit.crop_zoom(image, 0.9),
    lambda image, rng: edit.zoom_out(image, 0.9),
)
_TONE: tuple[Edit, ...] = (
    lambda image, rng: edit.gamma(image, 0.6),
    lambda image, rng: edit.gamma(image, 1.6),
    lambda image, rng: edit.window(image, 0.25, 0.75),
    lambda image, rng: edit.equalise(image),
    lambda image, rng: edit.invert(image),
)
_LOSS: tuple[Edit, ...] = (
    lambda image, rng: edit.add_noise(image, 0.05, rng),
    lambda image, rng: edit.blur(image, 3 / 224 * max(image.shape)),
    lambda image, rng: edit.jpeg(image, 40),
    lambda image, rng: edit.resolution(image, 64),
)


def _three(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One change of geometry, one of tone and one loss, drawn by chance."""
    for choice in (_GEOMETRY, _TONE, _LOSS):
        image = choice[int(rng.integers(len(choice)))](image, rng)
    return image


PLANTS: tuple[Plant, ...] = (
    _plain("identity", "identity", "unchanged", "unchanged", lambda image, rng: edit.unit(image)),
    _plain("noise-0.05", "noise", "Gaussian, sigma 0.05 of the range", "with noise 0.05",
           lambda image, rng: edit.add_noise(image, 0.05, rng)),
    _plain("noise-0.15", "noise", "Gaussian, sigma 0.15 of the range", "with noise 0.15",
           lambda image, rng: edit.add_noise(image, 0.15, rng)),
    _plain("blur-1", "blur", "Gaussian, sigma 1 of 224 px", "blurred lightly",
           lambda image, rng: edit.blur(image, 1 / 224 * max(image.shape))),
    _plain("blur-3", "blur", "Gaussian, sigma 3 of 224 px", "blurred",
           lambda image, rng: edit.blur(image, 3 / 224 * max(image.shape))),
    _plain("resolution-64", "resolution", "64 px along the longer side", "shrunk to 64 pixels",
           lambda image, rng: edit.resolution(image, 64)),
    _plain("resolution-32", "resolution", "32 px along the longer side", "shrunk to 32 pixels",
           lambda image, rng: edit.resolution(image, 32)),
    _plain("jpeg-40", "jpeg", "JPEG quality 40", "after JPEG compression",
           lambda image, rng: edit.jpeg(image, 40)),
    _plain("jpeg-10", "jpeg", "JPEG quality 10", "after strong JPEG compression",
           lambda image, rng: edit.jpeg(image, 10)),
    _plain("gamma-0.6", "gamma-0.6", "gamma 0.6", "brightened by gamma 0.6",
           lambda image, rng: edit.gamma(image, 0.6)),
    _plain("gamma-1.6", "gamma-1.6", "gamma 1.6", "darkened by gamma 1.6",
           lambda image, rng: edit.gamma(image, 1.6)),
    _plain("window", "window", "window [0.25, 0.75]", "through another window",
           lambda image, rng: edit.window(image, 0.25, 0.75)),
    _plain("equalise", "equalise", "histogram equalisation", "with equalised histogram",
           lambda image, rng: edit.equalise(image)),
    _plain("polarity", "polarity", "black for white", "with black for white",
           lambda image, rng: edit.invert(image)),
    _plain("mirror", "mirror", "left for right", "mirrored",
           lambda image, rng: edit.mirror(image)),
    _plain("shift-4", "shift", "4 % of the side along each axis", "shifted by 4 %",
           partial(_shifted, share=0.04)),
    _plain("shift-8", "shift", "8 % of the side along each axis", "shifted by 8 %",
           partial(_shifted, share=0.08)),
    _plain("rotate-5", "rotate", "5 degrees", "turned by 5 degrees", partial(_turned, degrees=5)),
    _plain("rotate-10", "rotate", "10 degrees", "turned by 10 degrees", partial(_turned, degrees=10)),
    _plain("crop-90", "crop", "central 90 % of each side", "cropped to 90 %",
           lambda image, rng: edit.crop_zoom(image, 0.9)),
    _plain("crop-75", "crop", "central 75 % of each side", "cropped to 75 %",
           lambda image, rng: edit.crop_zoom(image, 0.75)),
    _plain("zoom-out-90", "zoom-out", "shrunk to 90 %, black around", "shrunk to 90 % with a border",
           lambda image, rng: edit.zoom_out(image, 0.9)),
    _plain("rotate-10-crop-85", "rotate-crop", "10 degrees and central 85 %", "turned by 10 degrees and cropped",
           _turned_and_cropped),
    _plain("elastic", "elastic", "smooth warp, 1 % of the side", "warped",
           lambda image, rng: edit.elastic(image, 0.01, 0.1, rng)),
    Plant("blend-0.7", "blend", "0.7, and 0.3 of another patient", "blended with a third of another patient",
          partial(_blended, share=0.7), "other"),
    Plant("blend-0.5", "blend", "0.5, and 0.5 of another patient", "blended half and half with another patient",
          partial(_blended, share=0.5), "other", either=True),
    _plain("left-half", "half", "left half, the rest black", "of which half is black",
           lambda image, rng: edit.left_half(image)),
    _plain("text-box", "text-box", "white box, 40 x 120 of 224 px", "under a text box", _boxed),
    Plant("autoencoder", "autoencoder", "principal axes of the training films, at most 128",
          "after an autoencoder's round trip", _round_trip, "round_trip"),
    _plain("three", "three", "geometry, tone and a loss together", "after three edits at once", _three),
)  # fmt: skip

BY_KIND = {plant.kind: plant for plant in PLANTS}
KIND_WORDS = {plant.kind: plant.words for plant in PLANTS}


def plant(kind: str, image: np.ndarray, rng: np.random.Generator, donor: Donor = Donor()) -> np.ndarray:
    """Image (Y, X), float32 in [0, 1] → its copy after the edit `kind`, same shape.

    The same state of the generator gives the same pixels. Raises ValueError for a kind that is not in PLANTS, or
    when the donor lacks what the kind needs.
    """
    if kind not in BY_KIND:
        raise ValueError(f"unknown kind of planted copy {kind!r}; known: {', '.join(BY_KIND)}")
    made = BY_KIND[kind]
    if made.needs and getattr(donor, made.needs) is None:
        raise ValueError(f"planted copies of kind {kind!r} need {made.needs!r}")
    return made.edit(np.asarray(image, dtype=np.float32), rng, donor)
