"""Letters drawn into images: diffusion models imitate the side markers, names and dates that films carry.

A detector of text (PP-OCR by `rapidocr`, the extra `text`) looks at every image; its model lies in the installed
package and nothing is downloaded. Any region that it takes for text counts, read or not: the careful side. Before it
is believed, letters are planted in copies of the images themselves, and it must find these.

Axes: n released rows of N images, (Y, X) pixels.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medaudit.artifacts.certificate import TextPass
from medaudit.errors import EngineUnavailable, UsageProblem
from medaudit.progress import SILENT, Progress

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels
Detector = Callable[[np.ndarray], list[Box]]

CHOICES = ("auto", "off", "require")
_PLANTS = 8  # copies with letters, spread over the release
_WORDS = ("12.03.1961", "PAT 4711", "ROOM 7 AP")
_HEIGHT = 14  # of a line, in parts of a film of 256 pixels
_SIDE = (
    512  # smaller images are magnified to it; of 16 phantoms of 256 pixels 16 markers are seen so, 10 at 736
)
_BELIEVED = 0.75  # of the planted copies must be found


def engine() -> str:
    """The text detector that is installed, with its version; empty when there is none."""
    try:
        found = version("rapidocr")
        version("onnxruntime")
    except PackageNotFoundError:
        return ""
    return f"rapidocr {found}" if _model() else ""


def text_engine(wanted: str) -> str:
    """The detector for `--text off`, `auto` or `require`; empty when no pass is to be made.

    Raises UsageProblem for another word, EngineUnavailable when one is required and there is none.
    """
    if wanted not in CHOICES:
        raise UsageProblem(f"text {wanted!r} is not known; choose one of {', '.join(CHOICES)}")
    found = "" if wanted == "off" else engine()
    if wanted == "require" and not found:
        raise EngineUnavailable("no text detector is installed; install medaudit[text], or use --text auto")
    return found


def look_for_text(
    pixels: np.ndarray, rows: np.ndarray, progress: Progress = SILENT, detector: Detector | None = None
) -> TextPass | None:
    """What the pass found in the `rows` (n,) of `pixels` (N, Y, X); None when it missed what was planted.

    Raises EngineUnavailable when no detector is installed.
    """
    find = detector or rapidocr_detector()
    at = np.unique(np.linspace(0, len(rows) - 1, min(_PLANTS, len(rows))).astype(int))
    progress.start("text", len(rows) + len(at))
    planted_found = 0
    for turn, position in enumerate(at):
        image, place = _planted(eight_bits(np.asarray(pixels[rows[position]])), turn)
        planted_found += any(_overlap(box, place) for box in find(image))
        progress.advance()
    if planted_found < _BELIEVED * len(at):
        progress.say(
            f"    the text pass found {planted_found} of {len(at)} planted lines of letters and is not believed"
        )
        return None
    found = []
    for position, row in enumerate(rows, start=1):
        if find(eight_bits(np.asarray(pixels[row]))):
            found.append(position)
        progress.advance()
    return TextPass(
        engine=engine() or "given",
        looked_at=len(rows),
        found_in=found,
        planted=len(at),
        planted_found=planted_found,
    )


def eight_bits(image: np.ndarray) -> np.ndarray:
    """(Y, X) uint8 or uint16 → uint8, stretched over the image's own range so that faint letters stand out."""
    low, high = int(image.min()), int(image.max())
    return ((image.astype(np.float32) - low) * (255.0 / max(1, high - low))).round().astype(np.uint8)


def _planted(image: np.ndarray, turn: int) -> tuple[np.ndarray, Box]:
    """A copy with a line of letters in one of its corners, bright on dark or dark on bright, and where they are."""
    height, width = image.shape
    size = max(8, round(_HEIGHT * min(height, width) / 256))
    font = ImageFont.load_default(size)
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    word = _WORDS[turn % len(_WORDS)]
    left, top, right, bottom = draw.textbbox((0, 0), word, font=font)
    x = size // 2 if turn % 2 else max(0, width - int(right - left) - size)
    y = size // 2 if turn // 2 % 2 else max(0, height - int(bottom - top) - 2 * size)
    place = (x + left, y + top, x + right, y + bottom)
    x0, y0, x1, y1 = (max(0, int(edge)) for edge in place)
    ground = image[y0 : y1 + 1, x0 : x1 + 1]
    draw.text((x, y), word, fill=0 if ground.size and ground.mean() > 127 else 255, font=font)
    return np.asarray(canvas), place


def _overlap(box: Box, place: Box) -> bool:
    """Whether the middle of the box lies in the place."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return place[0] <= x <= place[2] and place[1] <= y <= place[3]


def _chest(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether the box is over half as wide and half as high as the film (Y, X): the detector's eye caught the chest."""
    return box[2] - box[0] > shape[1] / 2 and box[3] - box[1] > shape[0] / 2


def _model() -> Path | None:
    """The detector's weights inside the installed package."""
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "models").glob("*det*.onnx"))), None)


def rapidocr_detector() -> Detector:
    """The installed detector: (Y, X) uint8 → boxes of what it takes for text. Raises EngineUnavailable."""
    model = _model()
    if not engine() or model is None:
        raise EngineUnavailable("no text detector is installed; install medaudit[text]")
    from rapidocr import RapidOCR

    # with the path given, the package never looks for a model to download
    params = {"Global.log_level": "critical", "Det.model_path": str(model), "Det.limit_side_len": _SIDE}
    reader: Any = RapidOCR(params=params)

    def find(image: np.ndarray) -> list[Box]:
        result = reader(np.repeat(image[..., None], 3, axis=2), use_det=True, use_cls=False, use_rec=False)
        corners = [] if result.boxes is None else [np.asarray(box) for box in result.boxes]  # (4, 2) each
        boxes = [(*box.min(axis=0).tolist(), *box.max(axis=0).tolist()) for box in corners]
        return [box for box in boxes if not _chest(box, image.shape)]

    return find
