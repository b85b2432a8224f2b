"""The second look of a release under a ledger: one to an audit, within the part of alpha that the audit has.

The audit spends its part whole, and the proof in protocol/remainder lets half of it pay for one more look at what is
left. Looking again at another choice of images, or with another seed, would be another test that nothing pays for: it
is refused, and a new audit spends a part of its own.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import Audit
from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.store import Artifact, Request, canonical
from medaudit.config import AuditSettings
from medaudit.errors import UsageProblem
from medaudit.protocol.sides import Side
from medaudit.protocol.together import Earlier, Share


def second_look(
    path: Path,
    note: Mapping[str, str],
    first: tuple[Artifact, Audit],
    given: Sequence[Cohort],
    request: Request,
    settings: AuditSettings,
    sides: tuple[Side, Side, Side],
) -> Share:
    """The place of the audit of what is left: that of the first look, whose alpha covers both.

    It is written into the ledger before it looks. Raises UsageProblem when the earlier cohorts of the first look are
    not given again, and for a second look that is another than the one that was taken already.
    """
    artifact, record = first
    place = record.ledger
    assert place is not None  # require_ledger_clearance saw to it
    known = {cohort.id: cohort for cohort in given}
    if set(place.cohorts) != known.keys():
        raise UsageProblem("give the cohorts that the audit was given as --with-release again, and no others")
    cleared = place.cleared or [[] for _ in place.releases]
    listed = zip(place.releases, place.cohorts, place.withheld, cleared, strict=True)
    earlier = tuple(
        Earlier(release, known[cohort], tuple(withheld), tuple(pairs))
        for release, cohort, withheld, pairs in listed
    )
    model = sides[2].cohort.artifact.lineage.get("model")
    facts = {
        **{role: artifact.lineage[role] for role in ("train", "holdout", "synthetic")},
        "model": model,
        "number": place.number,
        "alpha": settings.alpha / 2,
        "site_alpha": place.site_alpha,
        "second_look_of": artifact.id,
        "request": request.fingerprint(),
    }
    subject = hashlib.sha256(canonical({"second_look_of": artifact.id}).encode()).hexdigest()
    with Ledger(path, write=True) as ledger:
        taken = ledger.append("budget", subject, {**facts, **note}).body
    if taken["request"] != facts["request"]:
        raise UsageProblem(
            "the audit had its second look, which left out other images or had another seed, and its part of alpha "
            "pays for one; run medaudit audit again, with another --seed: it spends a part of its own"
        )
    return Share(place.number, place.site_alpha, settings.alpha, earlier, model)
