"""Reports from hostile, edited and extreme findings: clear errors, nothing lost, nothing injected."""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_samples as samples
from forged_parts import signed

from medaudit.artifacts.findings import AUDIT_JSON, Audit
from medaudit.artifacts.store import open_artifact
from medaudit.errors import (
    ArtifactBroken,
    ArtifactKindMismatch,
    CohortMismatch,
    ReportLeak,
    SourceMissing,
    UsageProblem,
)
from medaudit.linting.pdf import read_pdf
from medaudit.stages import report
from medaudit.stages.site import Site

pytestmark = pytest.mark.usefixtures("records_by_hand")

HOSTILE = (
    '<img src=x onerror=alert(1)><script>alert(1)</script>" \' & {{7*7}} {% x %} #image("x") $x$ \\ @ref <a>'
)
RIGHT_TO_LEFT = "مستشفى الجامعة", "בית חולים כללי"
LONG = "Krankenhausbetriebsgesellschaft" * 12


class Tags(HTMLParser):
    """Tags, handlers and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def made(
    folder: Path, record: Audit, versions: dict[str, str] | None = None, **options: object
) -> tuple[str, list[str], dict]:  # type: ignore[type-arg]
    samples.write_findings(folder / "A", record)
    if versions:
        manifest = json.loads((folder / "A" / "manifest.json").read_bytes())
        (folder / "A" / "manifest.json").write_text(json.dumps({**manifest, "versions": versions}))
        signed(folder / "A")
    report.run([folder / "A"], folder / "R", **options)  # type: ignore[arg-type]
    pages = list(read_pdf((folder / "R" / "report.pdf").read_bytes()).pages)
    body = json.loads((folder / "R" / "report.json").read_text())
    return (folder / "R" / "report.html").read_text(), pages, body


@pytest.mark.parametrize("edition", ["shareable", "confidential"])
def test_hostile_text_in_every_field_stays_text(tmp_path: Path, edition: str) -> None:
    body = samples.audit("refused").model_dump(by_alias=True)

    def spoilt(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {name: spoilt(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [spoilt(part, key) for part in value]
        fixed = {"schema", "verdict", "line_source", "kind", "detectors"}
        return f"{value} {HOSTILE}" if isinstance(value, str) and key not in fixed else value

    record = Audit.model_validate(spoilt(body))
    names = {one.name: f"{one.name}" for one in samples.audit("refused").detectors}
    for one, name in zip(record.detectors, names, strict=True):
        one.name = name  # the tables know the detectors by their names
    html, pages, _ = made(tmp_path, record, edition=edition, site=Site(HOSTILE, HOSTILE, signer_key=HOSTILE))
    page = Tags(html)
    assert not page.tags & {"script", "a", "iframe", "object", "link", "form"} and not page.handlers
    assert page.text.count(HOSTILE) > 20
    joined = "".join(pages).replace(" ", "")
    assert joined.count("{{7*7}}") > 20 and '#image("x")' in joined
    assert "Sign-off" in pages[1]


@pytest.mark.parametrize("name", [*RIGHT_TO_LEFT, LONG, "病院", "🏥 Klinik", "\u0301" * 40 + "x"])
def test_names_of_any_script_and_length_are_kept(tmp_path: Path, name: str) -> None:
    html, pages, body = made(tmp_path, samples.audit("supported"), site=Site(name, name))
    assert ["Institution", name] in body["header"]
    assert f"<bdi>{name}</bdi>" in html
    assert "Release supported" in pages[0] and "Sign-off" in pages[1]


def test_characters_that_nobody_sees_are_written_out(tmp_path: Path) -> None:
    html, _, body = made(tmp_path, samples.audit("supported"), site=Site("Clinic\u202eevil\x07"))
    assert ["Institution", "Clinic\\u202eevil\\u0007"] in body["header"]
    assert "\u202e" not in html and "\x07" not in html
    versions = {"medaudit": '\u202e\x1b[31m{"}'}
    made(tmp_path / "again", samples.audit("supported"), versions=versions)


def test_no_synthetic_images_are_no_reason_to_crash(tmp_path: Path) -> None:
    record = samples.audit("inconclusive", synthetic=0)
    html, _, body = made(tmp_path, record)
    assert body["verdict"] == "inconclusive" and body["numbers"]["audit"]["counts"]["synthetic"] == 0
    assert "nan" not in html.lower().replace("finan", "").split("base64")[0]


def test_everything_flagged(tmp_path: Path) -> None:
    record = samples.audit("refused")
    record.counts.flagged = record.counts.synthetic
    html, _, body = made(tmp_path, record)
    assert body["verdict"] == "do-not-release"
    assert "256 of 256 synthetic images were found to copy" in html


def test_edited_findings_are_refused(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("refused"))
    path = tmp_path / "A" / AUDIT_JSON
    path.write_text(path.read_text().replace("do-not-release", "release-supported"))
    with pytest.raises(ArtifactBroken, match="was changed"):
        report.run([tmp_path / "A"], tmp_path / "R")
    assert not (tmp_path / "R").exists()


def test_what_belongs_to_other_findings_is_refused(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("supported"))
    samples.write_cohort(tmp_path / "other", 5, "train", 9)
    (tmp_path / "short.txt").write_text("Anna\n")
    cases = [
        ({"site": Site(cohorts=(tmp_path / "other",))}, CohortMismatch),
        ({"site": Site(previous=tmp_path / "A")}, UsageProblem),
        ({"site": Site(date="20261340")}, UsageProblem),
        ({"site": Site(review_by="soon")}, UsageProblem),
        ({"forbid": tmp_path / "missing.txt"}, SourceMissing),
        ({"forbid": tmp_path / "short.txt"}, UsageProblem),
    ]
    for options, problem in cases:
        with pytest.raises(problem) as caught:
            report.run([tmp_path / "A"], tmp_path / "R", **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "R").exists()


def test_what_is_given_as_the_audit_before_is_looked_at(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("supported"))
    samples.write_findings(tmp_path / "X", samples.extraction())
    report.run([tmp_path / "A"], tmp_path / "earlier")
    samples.write_findings(tmp_path / "edited", samples.audit("refused", synthetic=300))
    path = tmp_path / "edited" / AUDIT_JSON
    path.write_text(path.read_text().replace('"flagged": 281', '"flagged": 0'))
    cases = [
        ("earlier", ArtifactKindMismatch, "a report artifact; a findings artifact is needed"),
        ("X", ArtifactBroken, "holds no audit.json"),
        ("edited", ArtifactBroken, "was changed"),
        ("missing", ArtifactKindMismatch, "is not a folder"),
    ]
    for name, problem, words in cases:
        with pytest.raises(problem, match=words):
            report.run([tmp_path / "A"], tmp_path / "R", site=Site(previous=tmp_path / name))
        assert not (tmp_path / "R").exists()


def test_an_earlier_audit_of_another_site_is_not_passed_off_as_ours(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("supported"))
    other = {"train": "7" * 64, "holdout": "8" * 64, "synthetic": "9" * 64}
    samples.write_findings(tmp_path / "other", samples.audit("refused", synthetic=300), other)
    samples.write_findings(
        tmp_path / "ours", samples.audit("refused", synthetic=300), {"synthetic": "9" * 64}
    )
    told = {}
    for name in ("other", "ours"):
        report.run([tmp_path / "A"], tmp_path / f"R-{name}", site=Site(previous=tmp_path / name))
        told[name] = (tmp_path / f"R-{name}" / "report.html").read_text()
    assert "nothing here shows that both are of one site" in told["other"]
    assert "nothing here shows" not in told["ours"]


def test_forbidden_words_are_found_even_in_a_report_that_stands(tmp_path: Path) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("supported"))
    (tmp_path / "words.txt").write_text("Example Hospital\n")
    for edition in ("shareable", "confidential"):
        out = tmp_path / edition
        site = Site("St. Example Hospital")
        with pytest.raises(ReportLeak, match="forbidden"):
            report.run([tmp_path / "A"], out, edition, site=site, forbid=tmp_path / "words.txt")
        assert not out.exists()
        report.run([tmp_path / "A"], out, edition, site=site)
        with pytest.raises(ReportLeak, match="forbidden"):
            report.run([tmp_path / "A"], out, edition, site=site, forbid=tmp_path / "words.txt")


def test_the_audit_before_and_the_cohorts_are_told(tmp_path: Path) -> None:
    train = samples.write_cohort(tmp_path / "T", 61, "train", 1)
    samples.write_findings(tmp_path / "before", samples.audit("refused", synthetic=300), {"train": train.id})
    samples.write_findings(tmp_path / "A", samples.audit("supported"), {"train": train.id})
    site = Site(
        "H", "P", "20261124", "2027-11-24", "ed25519 3f2a", None, tmp_path / "before", (tmp_path / "T",)
    )
    report.run([tmp_path / "A"], tmp_path / "R", site=site)
    body = json.loads((tmp_path / "R" / "report.json").read_text())
    header = dict(body["header"])
    assert header["Date"] == "2026-11-24" and header["Review again by"] == "2027-11-24"
    assert header["Signing key"] == "ed25519 3f2a" and header["Release id"].startswith("none")
    changes = next(
        section for section in body["sections"] if section["title"] == "Changes since the last audit"
    )
    rows = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in changes["blocks"][0]["rows"]}
    assert rows["Flagged"] == ["281", "0"] and rows["Verdict"] == ["Do not release", "Release supported"]
    assert "Training" in changes["blocks"][0]["caption"] and changes["page"] == "second"
    assert body["numbers"]["cohorts"][0]["images"] == 61
    assert open_artifact(tmp_path / "R").lineage["previous"] == open_artifact(tmp_path / "before").id
    assert train.id not in (tmp_path / "R" / "manifest.json").read_text()
    pages = read_pdf((tmp_path / "R" / "report.pdf").read_bytes()).pages
    assert "Changes since the last audit" in pages[1] and "Sign-off" in pages[1]


FORGED = {
    "alpha is a word": lambda audit, manifest: manifest["settings"].update(alpha="much"),
    "alpha of another kind": lambda audit, manifest: manifest["settings"].update(alpha=[0.05]),
    "unknown controls": lambda audit, manifest: manifest["settings"].update(controls="none"),
    "T is no id": lambda audit, manifest: manifest["lineage"].update(train="not hex"),
    "no detector": lambda audit, manifest: audit.update(detectors=[]),
    "a text without an end": lambda audit, manifest: audit["controls"].update(weakest_kind="a" * 70_000),
    "a number without an end": lambda audit, manifest: audit["bounds"].update(alpha=float("inf")),
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_findings_that_were_forged_with_fitting_hashes_are_refused_in_one_line(
    tmp_path: Path, name: str
) -> None:
    samples.write_findings(tmp_path / "A", samples.audit("refused"))
    audit = json.loads((tmp_path / "A" / AUDIT_JSON).read_bytes())
    manifest = json.loads((tmp_path / "A" / "manifest.json").read_bytes())
    FORGED[name](audit, manifest)
    (tmp_path / "A" / AUDIT_JSON).write_text(json.dumps(audit))
    manifest["files"][AUDIT_JSON] = hashlib.sha256((tmp_path / "A" / AUDIT_JSON).read_bytes()).hexdigest()
    (tmp_path / "A" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactBroken) as caught:
        report.run([tmp_path / "A"], tmp_path / "R")
    assert "\n" not in str(caught.value) and not (tmp_path / "R").exists()
