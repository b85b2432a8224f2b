"""Copies by structure: candidates in any pose, registration of each, correlation of local contrast once aligned."""

from medaudit.detectors.structure.detector import Aligned, Structure, StructureIndex

__all__ = ["Aligned", "Structure", "StructureIndex"]
