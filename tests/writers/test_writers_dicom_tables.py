"""Written files against the standard's own module tables (PS3.3), which highdicom carries as JSON: every attribute of
type 1 is there with a value, every one of type 2 is there, and none stands outside the modules of its kind of image.

Conditions (1C, 2C) are not in the tables as code; dciodvfy looks at those where it is installed.
"""

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

from medaudit.writers.dicom import SOP_CLASSES, DicomWriter, Facts

HIGHDICOM = find_spec("highdicom")
pytestmark = pytest.mark.skipif(HIGHDICOM is None, reason="highdicom (module tables) is not installed")
# Known to the standard since 2023 or written by us, and not in this edition of the tables.
NEWER = {"SyntheticData"}


@lru_cache
def table(name: str) -> Any:
    assert HIGHDICOM is not None and HIGHDICOM.submodule_search_locations
    return json.loads((Path(HIGHDICOM.submodule_search_locations[0]) / "_standard" / name).read_text())


def rules(dataset: Dataset) -> list[dict[str, Any]]:
    """(module, keyword, type, path) of the modules that are mandatory or that the file makes use of."""
    iod = table("sop_class_iod_map.json")[dataset.SOPClassUID]
    attributes, found = table("module_attribute_map.json"), []
    for module in table("iod_module_map.json")[iod]:
        own = attributes[module["key"]]
        needed = {rule["keyword"] for rule in own if not rule["path"] and rule["type"] == "1"}
        if module["usage"] == "M" or (needed and needed & set(dataset.dir())):
            found += [{**rule, "module": module["key"]} for rule in own]
    return found


def complaints(dataset: Dataset) -> list[str]:
    found = []
    for rule in rules(dataset):
        items = [dataset]
        for step in rule["path"]:
            items = [inner for item in items for inner in item.get(step) or []]
        for item in items:
            value = item.get(rule["keyword"])
            empty = value is None or (hasattr(value, "__len__") and len(value) == 0)
            if (rule["type"] == "1" and empty) or (rule["type"] == "2" and rule["keyword"] not in item):
                found.append(f"{rule['module']}: {'/'.join([*rule['path'], rule['keyword']])}")
    return found


def strangers(dataset: Dataset) -> set[str]:
    """Top-level attributes that no module of the kind of image has."""
    iod = table("sop_class_iod_map.json")[dataset.SOPClassUID]
    attributes = table("module_attribute_map.json")
    modules = [attributes[module["key"]] for module in table("iod_module_map.json")[iod]]
    known = {rule["keyword"] for own in modules for rule in own if not rule["path"]}
    return {keyword_for_tag(element.tag) for element in dataset} - known - NEWER


def written(path: Path, modality: str, view: str | None, date: str) -> Dataset:
    facts = Facts("r" * 64, "m" * 64, "0.1.0", modality, "explicit", date)  # type: ignore[arg-type]
    DicomWriter(facts, (33, 36)).write(path, np.arange(33 * 36, dtype=np.uint16).reshape(33, 36), 1, view)
    return pydicom.dcmread(path)


@pytest.mark.parametrize("date", ["", "20250131"])
@pytest.mark.parametrize("view", ["PA", "AP", "LATERAL", None])
@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_the_tables_find_no_fault(tmp_path: Path, modality: str, view: str | None, date: str) -> None:
    dataset = written(tmp_path / "x.dcm", modality, view, date)
    assert len(rules(dataset)) > 200
    assert complaints(dataset) == [] and strangers(dataset) == set()


@pytest.mark.parametrize("modality", list(SOP_CLASSES))
def test_each_attribute_taken_away_is_missed(tmp_path: Path, modality: str) -> None:
    missed = 0
    needed = {
        rule["keyword"]
        for rule in rules(written(tmp_path / "x.dcm", modality, "PA", ""))
        if not rule["path"] and rule["type"] in ("1", "2")
    }
    for keyword in sorted(needed):
        dataset = pydicom.dcmread(tmp_path / "x.dcm")
        del dataset[keyword]
        if keyword == "SOPClassUID":  # without it no table applies
            continue
        missed += any(found.endswith(keyword) for found in complaints(dataset))
    assert missed == len(needed - {"SOPClassUID"}) >= 12
    dataset = pydicom.dcmread(tmp_path / "x.dcm")
    dataset.EchoTime = "3"
    assert strangers(dataset) == {"EchoTime"}
