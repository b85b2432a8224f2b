"""Planted copies of real films: the detectors together find every kind. The table is benchmarks/planted_power.py's."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from medaudit.config import PLANTED_KINDS
from medaudit.detectors import DETECTORS

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "planted_power.py"


@pytest.mark.real
def test_every_kind_of_copy_is_found_on_real_films(real_data: Path) -> None:
    power = runpy.run_path(str(BENCHMARK))
    images, patient = power["load"](real_data / "pneumoniamnist" / "pneumoniamnist_dev.npz", None)
    few = np.flatnonzero(patient < 700)
    ranked, flagged = power["measure"](DETECTORS, images[few], patient[few], 60, 256, 0)
    assert list(ranked) == list(flagged) == [detector.name for detector in DETECTORS]
    for kind in PLANTED_KINDS:
        found = np.any([by_kind[kind] for by_kind in ranked.values()], axis=0)
        assert found.shape == (60,)
        assert found.mean() >= 0.97, kind
    assert ranked["rmse"]["flip"].mean() < 0.2  # the test can tell a blind detector from a seeing one
