"""How alike two images are. A detector turns images into vectors; the search measures distances between them.

A new detector is one file here and one line in DETECTORS.
"""

from medaudit.detectors.contract import Detector, VectorDetector, label
from medaudit.detectors.contrast import LocalContrast
from medaudit.detectors.pixel import Rmse
from medaudit.detectors.smooth import SmoothRmse
from medaudit.detectors.structure import Structure
from medaudit.detectors.tiles import TileDistance

VECTOR_DETECTORS: tuple[VectorDetector, ...] = (Rmse(), SmoothRmse(), TileDistance(), LocalContrast())
AnyDetector = VectorDetector | Structure
DETECTORS: tuple[AnyDetector, ...] = (*VECTOR_DETECTORS, Structure())

__all__ = ["DETECTORS", "VECTOR_DETECTORS", "AnyDetector", "Detector", "Structure", "VectorDetector", "label"]
