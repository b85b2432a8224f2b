"""What the linter knows of the real side, and its one call per command: before a report or a release is in place."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from medaudit.artifacts.authentication import folders_above
from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.identities import SUFFIX, read_identities
from medaudit.artifacts.store import Artifact
from medaudit.errors import ArtifactBroken, CohortMismatch, ReportLeak, SourceMissing, UsageProblem
from medaudit.regular import read_regular
from medaudit.stages.evidence import Evidence
from medaudit.stages.site import Site

if TYPE_CHECKING:
    from medaudit.linting.known import Known
    from medaudit.linting.pages import Expected
    from medaudit.render.document import Document

_REAL = ("train", "holdout")
_HEX = re.compile("([0-9a-f]{2})+")


def real_cohorts(lineage: Mapping[str, str], paths: Iterable[Path]) -> list[Cohort]:
    """The cohorts at these paths. Raises CohortMismatch for one that the findings were not made from."""
    opened = [(path, open_cohort(path, verify=False)) for path in paths]
    for path, cohort in opened:
        if cohort.id not in {lineage.get(role) for role in _REAL}:
            raise CohortMismatch(f"{path} is no real cohort of these findings; give the same T or H again")
    return [cohort for _, cohort in opened]


def _real_ids(lineage: Mapping[str, str]) -> list[str]:
    """Ids of T and H, hex. Raises ArtifactBroken for a text that is none."""
    ids = [lineage[role] for role in _REAL if role in lineage]
    if not all(_HEX.fullmatch(one) for one in ids):
        raise ArtifactBroken("the findings name their cohorts by what is no id; make the findings again")
    return ids


def known_of(
    lineage: Mapping[str, str],
    paths: Iterable[Path],
    forbid: Path | None = None,
    identities: Path | None = None,
) -> "Known":
    """What must not go out: ids of T and H, what stands in those given, and the words of the file `forbid`.

    `identities`: what the pseudonyms stand for; looked for where the key is looked for, if it is not given.
    """
    from medaudit.linting import real

    ids = _real_ids(lineage)
    cohorts = real_cohorts(lineage, paths)
    return real.known_of(ids, cohorts, _forbidden(forbid), _identities(cohorts, identities))


def known_of_site(
    evidence: Evidence,
    site: Site,
    edition: str,
    forbid: Path | None = None,
    identities: Path | None = None,
) -> "Known":
    """The same for a report, of the real cohorts that the site gave.

    Ids of T and H cover keyed pseudonyms and tell nobody outside; the confidential edition prints them.
    """
    from medaudit.linting import real

    lineage = evidence.lineage()
    ids = _real_ids(lineage)
    cohorts = [cohort for role, cohort in site.opened(evidence) if role in _REAL]
    said = _identities(cohorts, identities)
    known = real.known_of(ids, cohorts, _forbidden(forbid), said, blocks=False)
    return known.without(ids) if edition == "confidential" else known


def not_looked_for(known: "Known") -> tuple[str, ...]:
    """A line for the screen where names of source files could not be looked for."""
    if not known.nameless:
        return ()
    return (
        f"not looked for: the names of {known.nameless:,} files of the real cohorts; give --identities with the "
        "identity file that `ingest` wrote next to the key",
    )


def _identities(cohorts: Iterable[Cohort], path: Path | None) -> Iterator[tuple[str, str, str]]:
    """What pseudonyms stand for: of the file given, or of those in the nearest folder above each cohort that has any.

    The folders are those in which the key is looked for, since `ingest` writes the file next to the key.
    """
    if path is not None:
        return read_identities(path)
    found = dict[Path, None]()
    for cohort in cohorts:
        files = (sorted(folder.glob(f"*{SUFFIX}")) for folder in folders_above([cohort.artifact.path]))
        found |= dict.fromkeys(next(filter(None, files), []))
    return chain.from_iterable(read_identities(place) for place in found)


def lint_release(folder: Path, known: "Known", own: Iterable[str]) -> None:
    """Look through a release, as a rule before it is put in place; `own` are hashes and dates it may hold."""
    from medaudit.linting.files import check_files

    check_files(folder, known, own)


def lint_report(document: "Document", html: str, pdf: bytes, text: str, known: "Known") -> None:
    """Look through the files of a report before they are written. Raises ReportLeak."""
    from medaudit.linting import pages

    if document.edition == "confidential":
        pages.check_confidential(html, pdf, text, known)
        return
    pages.check_shareable(expected(document), html, pdf, text, known)


def expected(document: "Document") -> "Expected":
    """What a shareable report may hold: its charts, its own hashes and dates."""
    from medaudit.linting.pages import Expected
    from medaudit.render import guidance_map
    from medaudit.render.document import DRAWING

    figures = list(document.figures())
    if any(figure.media != DRAWING for figure in figures):
        raise ReportLeak("the document of the shareable edition would hold a film; nothing was written")
    charts = frozenset(figure.digest for figure in figures)
    own = {document.digest(), *charts, *document.stated(), *guidance_map.dates()}
    return Expected(charts, document.verdict_label, document.digest()[:16], frozenset(own))


def lint_standing_report(artifact: Artifact, known: "Known") -> None:
    """Look again through a report that stands already, for what is known now."""
    from medaudit.linting import pages

    html, pdf, text = (artifact.file(f"report.{kind}").read_bytes() for kind in ("html", "pdf", "json"))
    pages.check_confidential(html.decode(), pdf, text.decode(), known, artifact.settings["edition"])


def _forbidden(path: Path | None) -> list[str]:
    """The words of a file, one a line; chance would hit those under eight bytes."""
    if path is None:
        return []
    try:
        words = [line.strip() for line in read_regular(path).decode("utf-8").splitlines() if line.strip()]
    except OSError:
        raise SourceMissing(
            f"{path} cannot be read; give a text file with one forbidden word a line"
        ) from None
    except ValueError:
        words = [""]
    if any(len(word.lower().encode()) < 8 for word in words):
        raise UsageProblem(
            f"{path}: forbidden words stand one a line, in UTF-8, and have eight characters or more"
        )
    return words
