"""Planted copies of real films: the detectors together find every kind. The table is benchmarks/detection.py's."""

import sys
from pathlib import Path

import pytest

from medaudit.config import PLANTED_KINDS
from medaudit.detectors import DETECTORS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.real
def test_copies_are_found_on_real_films_and_strangers_are_not(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import detection
    import methods

    work = detection.task(real_data, 64, plants=3, people=60, seed=0)
    asks = methods.our_detectors(work.train, work.groups)
    assert list(asks) == [detector.name for detector in DETECTORS]
    found = {name: detection.measure(name, ask, work) for name, ask in asks.items() if name != "tile"}
    monkeypatch.setattr(detection, "FALSE_ALARMS", 0.05)  # of 120 unseen people no smaller rate can be asked
    judged = detection.judge_ours(found, seed=0)
    power = judged["power"]["union"]
    assert sorted(power) == sorted(PLANTED_KINDS)
    missed = [kind for kind in PLANTED_KINDS if power[kind][3] < 3]
    assert len(missed) <= 3, missed
    assert judged["power"]["rmse"]["mirror"][3] == 0  # the test can tell a blind detector from a seeing one
    assert judged["pairs"]["union"][3] == judged["pairs"]["union"][4] >= 20
    assert judged["panel"]["union"][3] == 0
    assert judged["false_alarms"][3] <= 9
    capsys.readouterr()
    sys.modules.pop("detection", None)
