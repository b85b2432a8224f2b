"""Subgroups from the training cohort into both editions: rare labels stay inside, hostile ones stay text."""

import json
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.store import Draft, Request
from medaudit.linting.pdf import read_pdf
from medaudit.render.facts import hardware_facts
from medaudit.stages import report
from medaudit.stages.site import Site

pytestmark = pytest.mark.usefixtures("records_by_hand")

RARE, HOSTILE = "Kartagener syndrome", "effusion <script>alert(1)</script> التهاب"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T of 61 patients: 3 with a rare label, 20 with a hostile one, the others normal; and an audit that flags."""
    folder = tmp_path_factory.mktemp("subgroups")
    with Draft(folder / "T", Request("cohort", {"origin": "real"}, seed=1)) as draft:
        writer = CohortWriter(draft, (12, 10), np.uint8)
        rows = [
            {
                "file": f"{place}.png",
                "patient": samples.pseudonym(place),
                "route": "full range",
                "labels": [RARE, "normal"] if place < 3 else [HOSTILE] if place < 23 else ["normal"],
            }
            for place in range(61)
        ]
        writer.append(np.random.default_rng(1).integers(0, 256, (61, 12, 10), dtype=np.uint8), rows)
        train = writer.finish(note={"origin": "real", "role": "train"})
    samples.write_findings(folder / "A", samples.audit("refused"), {"train": train.id})
    return folder


def made(work: Path, out: Path, edition: str) -> tuple[str, str, dict]:  # type: ignore[type-arg]
    report.run([work / "A"], out, edition, site=Site(cohorts=(work / "T",)))
    pages = "".join(read_pdf((out / "report.pdf").read_bytes()).pages)
    return (out / "report.html").read_text(), pages, json.loads((out / "report.json").read_text())


def test_a_rare_label_stays_inside(work: Path, tmp_path: Path) -> None:
    html, pages, body = made(work, tmp_path / "out", "shareable")
    everything = "".join([html, pages, json.dumps(body, ensure_ascii=False)])
    assert RARE not in everything and RARE.replace(" ", "") not in everything
    found = body["numbers"]["subgroups"]
    assert [one["name"] for one in found["groups"]] == [HOSTILE, "normal"] and found["kept_back"] == 1
    assert all(one["shown"] is None or one["shown"] >= 10 for one in found["groups"])
    inside, _, body = made(work, tmp_path / "in", "confidential")
    groups = body["numbers"]["subgroups"]["groups"]
    assert RARE in inside and [one["patients"] for one in groups] == [3, 20, 41]
    assert "rarest finding named" in inside and all(one["shown"] is not None for one in groups)


def test_a_hostile_label_is_only_text(work: Path, tmp_path: Path) -> None:
    html, _, _ = made(work, tmp_path / "out", "shareable")
    assert "<script" not in html and "effusion &lt;script&gt;alert(1)&lt;/script&gt; التهاب" in html


def test_what_the_findings_were_made_on_is_in_the_provenance() -> None:
    recorded = {
        "system": "Linux",
        "architecture": "x86_64",
        "processor": "cpu",
        "python": "3.12.1",
        "packages": 75,
        "packages_sha256": "5" * 64,
    }
    assert hardware_facts(None) == {}
    told = hardware_facts(recorded)
    assert told["hardware"] == "Linux on x86_64, computed by cpu, Python 3.12.1"
    assert (told["packages"], told["packages_sha256"]) == (75, "5" * 64)
