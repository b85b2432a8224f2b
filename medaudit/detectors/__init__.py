"""How alike two images are. A detector turns images into vectors; the search measures distances between them.

A new detector is one file here and one line in DETECTORS.
"""

from medaudit.detectors.contract import Detector
from medaudit.detectors.contrast import LocalContrast
from medaudit.detectors.pixel import Rmse
from medaudit.detectors.smooth import SmoothRmse
from medaudit.detectors.tiles import TileDistance

DETECTORS: tuple[Detector, ...] = (Rmse(), SmoothRmse(), TileDistance(), LocalContrast())

__all__ = ["DETECTORS", "Detector"]
