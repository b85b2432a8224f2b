"""Contact sheets: one picture file in which several images stand in a grid, as training logs and samplers save them.

Axes: (Y, X) rows and columns of pixels. Searched as one image, a sheet hides every copy in it.
"""

import numpy as np

_SAME = 3 / 255  # two values that a JPEG may have made of one
_SMALLEST = 8  # px, side of an image of the sheet
_FEWEST = 4  # images


def is_sheet(unit: np.ndarray) -> bool:
    """Whether straight lines of one value part the picture (Y, X) into at least four equal images.

    Grids without lines between the images, and images whose own margins have the value of the lines, are not told.
    """
    lines = [unit.max(axis=axis) - unit.min(axis=axis) <= _SAME for axis in (1, 0)]  # (Y,), (X,)
    if not lines[0].any() or not lines[1].any():
        return False
    value = float(np.median(unit[:, lines[1]]))
    lines[0] &= np.abs(unit[:, 0] - value) <= _SAME
    lines[1] &= np.abs(unit[0, :] - value) <= _SAME
    images = 1
    for line in lines:
        sides, gaps = _runs(~line), _runs(line)
        inner = gaps[int(line[0]) : len(gaps) - int(line[-1])]
        if not sides or min(sides) < _SMALLEST or max(sides) - min(sides) > 1 or len(set(inner)) > 1:
            return False
        images *= len(sides)
    return images >= _FEWEST


def _runs(marks: np.ndarray) -> list[int]:
    """Lengths of the runs of True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return (edges[1::2] - edges[::2]).tolist()
