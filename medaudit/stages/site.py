"""What a report says beside its findings: what the site states, the release, the audit before, the cohorts at hand."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medaudit.artifacts.certificate import CERTIFICATE, read_certificate
from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.findings import patients_shown
from medaudit.artifacts.source_code import commit
from medaudit.artifacts.store import Artifact, open_artifact
from medaudit.errors import CohortMismatch, ReleaseBroken, UsageProblem
from medaudit.protocol.recheck import open_trusted_audit
from medaudit.stages.evidence import Evidence
from medaudit.stages.verify import wrong_papers

if TYPE_CHECKING:
    from medaudit.render.site_facts import CohortFacts, PreviousFacts, ReleaseFacts
    from medaudit.render.subgroup_facts import SubgroupFacts

_ROLES = ("train", "holdout", "synthetic")


@dataclass(frozen=True)
class Site:
    """What a site adds; dates as YYYYMMDD or empty."""

    institution: str = ""
    protocol: str = ""
    date: str = ""
    review_by: str = ""
    signer_key: str = ""
    release: Path | None = None
    previous: Path | None = None
    cohorts: tuple[Path, ...] = ()
    key: Path | None = None  # the site's, for the audit before

    def settings(self, evidence: Evidence) -> dict[str, Any]:
        """Everything of it that decides the report's bytes and is no artifact of its own. Raises UsageProblem."""
        return {
            "institution": self.institution,
            "protocol": self.protocol,
            "date": iso(self.date, "--date"),
            "review_by": iso(self.review_by, "--review-by"),
            "signer_key": self.signer_key,
            "commit": commit(),
            # their ids follow from the findings
            "cohorts": sorted(role for role, _ in self.opened(evidence)),
        }

    def parents(self) -> dict[str, str]:
        """Ids of the release and the audit before, by role."""
        found = {"release": self.release, "previous": self.previous}
        return {
            name: open_artifact(path, verify=False).id for name, path in found.items() if path is not None
        }

    def opened(self, evidence: Evidence) -> Iterator[tuple[str, Cohort]]:
        """The cohorts at hand with their roles. Raises CohortMismatch for one that the findings do not know."""
        lineage = evidence.lineage()
        for path in self.cohorts:
            cohort = open_cohort(path, verify=False)
            role = next((role for role in _ROLES if lineage.get(role) == cohort.id), None)
            if role is None:
                raise CohortMismatch(f"{path} is no cohort of these findings; give the same T, H or S again")
            yield role, cohort

    def facts(self, evidence: Evidence, *, hide: bool) -> dict[str, Any]:
        """What a summary takes from the release, the audit before and the cohorts."""
        return {
            "release": self._release(evidence),
            "previous": self._previous(evidence),
            "cohorts": tuple(_cohort(role, cohort, hide) for role, cohort in self.opened(evidence)),
            "subgroups": self._subgroups(evidence, hide),
        }

    def _subgroups(self, evidence: Evidence, hide: bool) -> "SubgroupFacts | None":
        from medaudit.render.site_facts import VIEWS
        from medaudit.render.subgroup_facts import subgroup_facts

        train = next((cohort for role, cohort in self.opened(evidence) if role == "train"), None)
        if train is None or evidence.audit is None:
            return None
        rows = train.rows.select(["patient", "view", "labels", "mark"]).to_pylist()
        return subgroup_facts(rows, patients_shown(evidence.audit[0]), VIEWS, hide)

    def _release(self, evidence: Evidence) -> "ReleaseFacts | None":
        from medaudit.render.site_facts import ReleaseFacts

        if self.release is None:
            return None
        artifact = open_artifact(self.release, "release")
        looks = [artifact.lineage.get(name) for name in ("audit_before_withholding", "audit")]
        if evidence.audit is None or evidence.audit[0].id not in looks:
            raise CohortMismatch(
                f"{self.release} was not released under this audit; give the release of this one"
            )
        rested = artifact.lineage.get("review")
        if evidence.clearing is not None and rested not in (None, evidence.clearing.artifact.id):
            raise CohortMismatch(f"{self.release} rests on another review; give that one as --review")
        certificate = read_certificate(artifact.file(CERTIFICATE))
        wrong = next(wrong_papers(self.release, artifact.manifest, certificate), None)
        if wrong:
            raise ReleaseBroken(f"{self.release}: {wrong}; run medaudit verify on it")
        return ReleaseFacts(
            id=artifact.id,
            images=artifact.manifest["images"],
            format=artifact.settings["format"],
            merkle_root=_merkle_root(artifact),
            **{name: getattr(certificate.counts, name) for name in ("withheld", "set_aside")},
            second_look_id=looks[1] if looks[0] == evidence.audit[0].id else None,
            review_id=rested,
            cleared=certificate.review.cleared if certificate.review else 0,
        )

    def _previous(self, evidence: Evidence) -> "PreviousFacts | None":
        from medaudit.render.site_facts import previous_facts

        if self.previous is None:
            return None
        artifact, record = open_trusted_audit(self.previous, self.key, self.cohorts)
        if evidence.audit is None or artifact.id == evidence.audit[0].id:
            raise UsageProblem(f"{self.previous} is no earlier audit than the one reported on; give another")
        ours = evidence.audit[0]
        same = artifact.manifest["versions"].get("medaudit") == ours.manifest["versions"].get("medaudit")
        return previous_facts(artifact.id, record, ours.lineage, artifact.lineage, same)


NOTHING_STATED = Site()


def iso(text: str, option: str) -> str:
    """YYYYMMDD or YYYY-MM-DD → YYYY-MM-DD; empty stays empty. Raises UsageProblem."""
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise UsageProblem(f"{option} {text!r} is no date; write YYYYMMDD") from None


def _cohort(role: str, cohort: Cohort, hide: bool) -> "CohortFacts":
    from medaudit.render.site_facts import cohort_facts

    refused: Mapping[str, Any] = cohort.artifact.manifest.get("refused", {}).get("counts", {})
    rows = cohort.rows.select(["patient", "view", "facts", "route", "mark"]).to_pylist()
    return cohort_facts(role, rows, cohort.image_shape, cohort.pixels.dtype, refused, hide)  # type: ignore[arg-type]


def _merkle_root(artifact: Artifact) -> str | None:
    """The root that the manifest or the certificate of a release states, where one does."""
    stated = artifact.manifest.get("merkle_root")
    if stated is None and CERTIFICATE in artifact.manifest["files"]:
        stated = json.loads(artifact.file(CERTIFICATE).read_text()).get("merkle_root")
    return stated if isinstance(stated, str) else None
