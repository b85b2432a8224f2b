"""The findings that a report is about, opened, checked against each other, and taken over into its facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medaudit.artifacts.findings import (
    AUDIT_JSON,
    DETECTOR_MATCHES,
    EXTRACT_JSON,
    MATCHES,
    REFERENCE,
    Audit,
    Extraction,
    read_matches,
)
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.errors import ArtifactBroken, CohortMismatch, UsageProblem
from medaudit.protocol.grounds import settings_of
from medaudit.protocol.recheck import open_trusted_audit, open_trusted_extraction
from medaudit.stages.clearing import Clearing, clearing_of, review_facts

if TYPE_CHECKING:
    from medaudit.render.confidential import Details, Pictures
    from medaudit.render.facts import AuditFacts, Summary


_TRUSTED = {"audit": open_trusted_audit, "extraction": open_trusted_extraction}


@dataclass(frozen=True)
class Evidence:
    """An audit, an extraction, or both."""

    audit: tuple[Artifact, Audit] | None = None
    extraction: tuple[Artifact, Extraction] | None = None
    clearing: Clearing | None = None  # people's decisions on the audit's flags

    @property
    def leading(self) -> Artifact:
        """The findings that the pages follow: the audit, or the extraction alone."""
        found = self.audit or self.extraction
        assert found is not None  # open_evidence refuses an empty list
        return found[0]

    def parents(self) -> dict[str, str]:
        """Ids of the findings, by role."""
        ids = {
            name: part[0].id for name, part in (("audit", self.audit), ("extract", self.extraction)) if part
        }
        return ids | ({"review": self.clearing.artifact.id} if self.clearing else {})

    def lineage(self) -> dict[str, str]:
        """Ids of the findings, and of the cohorts and the model behind them, by role."""
        known: dict[str, str] = {}
        for part in (self.extraction, self.audit):
            known |= part[0].lineage if part is not None else {}
        return known | self.parents()


def open_evidence(
    findings: Sequence[Path],
    review: Path | None = None,
    key: Path | None = None,
    near: Sequence[Path] = (),
) -> Evidence:
    """Open the folders given: at most one audit and one extraction, both about one training cohort; a review of it.

    Each is authentic and agrees with itself (protocol/recheck); `key` and `near` as there.
    """
    if not findings:
        raise UsageProblem("no findings were given; name the folder of an audit or an extraction")
    opened: dict[str, Any] = {}
    for path in findings:
        artifact = open_artifact(path, "findings", verify=False)
        names = {"audit": AUDIT_JSON, "extraction": EXTRACT_JSON}
        kind = next((kind for kind, name in names.items() if _has(artifact, name)), None)
        if kind is None:
            raise UsageProblem(f"{path} holds no audit and no extraction; a report is made from those")
        if kind in opened:
            raise UsageProblem(f"{path} is a second {kind}; a report is about one of each at most")
        opened[kind] = _TRUSTED[kind](path, key, near)
        if kind == "audit" and not opened[kind][1].detectors:
            raise ArtifactBroken(f"{path}: audit.json names no detector; run the audit again")
    if review is not None and "audit" not in opened:
        raise UsageProblem("a review is about the flags of an audit; name that audit as well")
    evidence = Evidence(
        **opened, clearing=clearing_of(review, opened["audit"][0], key, near) if review else None
    )
    trained = {part[0].lineage.get("train") for part in (evidence.audit, evidence.extraction) if part}
    if len(trained) > 1:
        raise CohortMismatch("audit and extraction are about two training cohorts; report on each alone")
    return evidence


def summarise(
    evidence: Evidence, stated: Mapping[str, Any], beside: Mapping[str, Any], *, hide: bool
) -> "Summary":
    """The aggregates; with `hide` small cells are left out.

    `stated`: what the site states, `beside`: facts of release, earlier audit and cohorts (see `site`).
    """
    from medaudit.render.facts import Origin, SiteFacts, Summary, extraction_facts, hardware_facts
    from medaudit.render.image_facts import image_facts

    lineage = evidence.lineage()
    manifest = evidence.leading.manifest
    return Summary(
        institution=stated["institution"],
        protocol=stated["protocol"],
        site=SiteFacts(**{name: stated[name] for name in SiteFacts.model_fields}),
        **beside,
        images=image_facts(evidence.audit[1], beside, evidence.clearing) if evidence.audit else None,
        audit=_audit(evidence, hide),
        extraction=extraction_facts(evidence.extraction[1]) if evidence.extraction is not None else None,
        review=review_facts(evidence.clearing, evidence.audit),
        origin=Origin(
            versions=dict(manifest["versions"]),
            seed=manifest["seed"],
            audit_id=lineage.get("audit"),
            extraction_id=lineage.get("extract"),
            synthetic_id=lineage.get("synthetic"),
            model_id=lineage.get("model"),
            commit=stated["commit"],
            **hardware_facts(manifest.get("environment")),
        ),
    )


def details(evidence: Evidence, pictures: "Pictures | None") -> "Details | None":
    """What only the confidential edition shows: the audit's matches, or the extraction's where there is no audit."""
    from medaudit.render.confidential import Details, any_suspect

    record = evidence.audit[1] if evidence.audit is not None else None
    artifact = evidence.leading
    if not _has(artifact, MATCHES):
        return None
    by_detector = read_matches(artifact, DETECTOR_MATCHES) if _has(artifact, DETECTOR_MATCHES) else None
    return Details(
        audit=record,
        matches=any_suspect(read_matches(artifact), by_detector),
        lineage=evidence.lineage(),
        pictures=pictures,
        review=evidence.clearing.review if evidence.clearing else None,
    )


def _audit(evidence: Evidence, hide: bool) -> "AuditFacts | None":
    from medaudit.render.facts import audit_facts

    if evidence.audit is None:
        return None
    artifact, record = evidence.audit
    matches, reference = (
        read_matches(artifact, name) if _has(artifact, name) else None
        for name in (DETECTOR_MATCHES, REFERENCE)
    )
    return audit_facts(record, settings_of(artifact).model_dump(), matches, reference, hide=hide)


def _has(artifact: Artifact, name: str) -> bool:
    return name in artifact.manifest["files"]
