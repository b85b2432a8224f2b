"""Copies by structure: candidates in any pose, registration of each, correlation of local contrast once aligned."""

from medaudit.detectors.structure.detector import Aligned, Structure, StructureIndex
from medaudit.detectors.structure.pairs import compared_pixels, laid_over, pose_sweep, weaker_likeness

__all__ = [
    "Aligned",
    "Structure",
    "StructureIndex",
    "compared_pixels",
    "laid_over",
    "pose_sweep",
    "weaker_likeness",
]
