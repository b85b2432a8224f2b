"""The appendix's back matter: cohorts, attack coverage, limits, provenance, commands. Built from a Summary alone."""

from medaudit.render import wording as say
from medaudit.render.document import Block, Bullets, Cell, Commands, Facts, Paragraph, Section, Table
from medaudit.render.facts import Summary
from medaudit.render.histogram import NOT_SHOWN, SMALLEST_CELL


def text(words: str) -> Cell:
    """A cell without a number."""
    return Cell(text=words)


def figure(value: float | int | None, digits: int = 3) -> Cell:
    """A cell with its number."""
    return Cell(text=say.number(value, digits), value=value)


def data(summary: Summary) -> Section | None:
    """The cohorts and the duplicates within the real data."""
    audit = summary.audit
    if audit is None:
        return None
    counts, twins = audit.counts, audit.duplicates
    table = Table(
        caption="The three cohorts",
        columns=("Cohort", "Images", "Patients"),
        rows=(
            (text("Training (T)"), figure(counts.train_images), figure(counts.train_patients)),
            (text("Held out, unseen (H)"), figure(counts.holdout_images), figure(counts.holdout_patients)),
            (text("Synthetic (S)"), figure(counts.synthetic), text("none")),
        ),
        numeric=(1, 2),
        weights=(4, 2, 2),
    )
    items = (
        ("Patient ids", "yes" if audit.patient_level else "none: each image counted as one person"),
        ("Near-duplicates across training patients", say.whole(twins.across_patients_in_train)),
        ("Near-duplicates across training and unseen patients", say.whole(twins.across_train_and_holdout)),
        ("People left out of the reference for such a duplicate", say.whole(twins.people_left_out)),
    )
    blocks: list[Block] = [table, Facts(items=items), *_at_hand(summary)]
    return Section(title="Data", blocks=tuple(blocks))


_ROLES = {"train": "Training (T)", "holdout": "Held out (H)", "synthetic": "Synthetic (S)"}


def _at_hand(summary: Summary) -> list[Block]:
    """Views, polarity, bits, transfer syntaxes and refusals of the cohorts that were given to the report."""
    if not summary.cohorts:
        said = "Views, polarity, bit depth, transfer syntaxes and refusals: the cohorts were not given to this report."
        return [Paragraph(text=said)]
    roles = [cohort.role for cohort in summary.cohorts]
    table = Table(
        caption="What the cohorts hold, in images; refused are files of its source, counted before it was split. "
        f"The shareable edition shows no count under {SMALLEST_CELL}, nor a second one that would give it away.",
        columns=("What", "Value", *(_ROLES[role] for role in roles)),
        rows=tuple(
            (text(what), text(value), *(_shown_count(found, role) for role in roles))
            for (what, value), found in _by_value(summary).items()
        ),
        numeric=tuple(range(2, 2 + len(roles))),
        weights=(3, 5, *([2] * len(roles))),
    )
    return [table]


def _by_value(summary: Summary) -> dict[tuple[str, str], dict[str, int | None]]:
    """Counts by role of each value of each fact, in the order in which they come up."""
    found: dict[tuple[str, str], dict[str, int | None]] = {}
    for cohort in summary.cohorts:
        size = ("size, in pixels", f"{cohort.height} x {cohort.width}, {cohort.bits} bits")
        found.setdefault(size, {})[cohort.role] = cohort.images
        for name, counts in cohort.tallies.items():
            for word, count in counts.items():
                found.setdefault((name, word), {})[cohort.role] = count
        for reason, count in {**cohort.refused, "set aside": cohort.set_aside}.items():
            if count:
                found.setdefault(("refused or set aside", reason), {})[cohort.role] = count
    order = list(dict.fromkeys(what for what, _ in found))
    return dict(sorted(found.items(), key=lambda item: order.index(item[0][0])))


def _shown_count(found: dict[str, int | None], role: str) -> Cell:
    if role not in found:
        return Cell(text="0", value=0)
    count = found[role]
    return Cell(text=NOT_SHOWN) if count is None else figure(count)


LIMITS = (
    "Every probability holds when unseen patients and training patients come from the same source and were split by "
    "chance.",
    "Power was measured on edits made by hand and, unless it was left out, on what one small over-trained model made. "
    "Another generator may change a copy in ways that are harder to see.",
    "A rank p-value cannot go below one over the size of the reference plus one.",
    "A tail fitted to the most alike people of the reference extends their pattern; its upper limit is used, never "
    "its best guess.",
    "Upper limits of what may have been missed hold for copies of the planted kinds and strengths only.",
)


def limits(summary: Summary) -> Section:
    """What the numbers rest on."""
    return Section(title="Limits", blocks=(Bullets(items=LIMITS),))


def provenance(summary: Summary) -> Section:
    """Hashes, versions, settings and seed."""
    origin = summary.origin
    ids = (
        ("audit", origin.audit_id),
        ("extraction", origin.extraction_id),
        ("synthetic cohort", origin.synthetic_id),
        ("model", origin.model_id),
        ("release", summary.release.id if summary.release else None),
        ("audit of the rest", summary.release.second_look_id if summary.release else None),
        ("review that the release rests on", summary.release.review_id if summary.release else None),
        ("earlier audit", summary.previous.audit_id if summary.previous else None),
    )
    items = [(f"{name} (SHA-256 of its manifest)", value) for name, value in ids if value]
    items += [(f"version of {name}", version) for name, version in sorted(origin.versions.items())]
    items.append(("commit of medaudit", origin.commit or "not recorded: not installed from version control"))
    if summary.release is not None:
        root = summary.release.merkle_root
        items.append(("Merkle root of the released files", root or "not stated by this release"))
    items.append(("hardware", origin.hardware or "not recorded by the version that made these findings"))
    if origin.packages_sha256 is not None:
        packages = f"{say.whole(origin.packages)} packages, SHA-256 of their sorted name==version lines"
        items.append((packages, origin.packages_sha256))
    if origin.seed is not None:
        items.append(("seed", str(origin.seed)))
    if summary.audit is not None:
        for name, value in summary.audit.settings.model_dump().items():
            shown = _shown(value)
            items.append((f"setting {name}", shown))
    lead = Paragraph(
        text="The audit's id covers the ids of the training and the held-out cohort, which are not printed here: "
        "nobody can use this report to ask whether a given film was among them.",
        quiet=True,
    )
    return Section(title="Provenance", blocks=(lead, Facts(items=tuple(items), code=True)))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def commands(summary: Summary) -> Section:
    """How to repeat and to check it."""
    seed = 0 if summary.origin.seed is None else summary.origin.seed
    lines = []
    if summary.audit is not None:
        lines.append(f"medaudit audit --train T --holdout H --synthetic S --out A --seed {seed}")
    if summary.extraction is not None:
        lines.append(f"medaudit extract --model M --train T --holdout H --out X --seed {seed}")
    lines.append("medaudit report A --out R" if summary.extraction is None else "medaudit report A X --out R")
    if summary.audit is None:
        lines[-1] = "medaudit report X --out R"
    lines += ["medaudit release --synthetic S --audit A --out D", "medaudit verify D"]
    lead = Paragraph(
        text="Inside, with the cohorts at hand, the first lines give the same bytes again; the receiver runs the last."
    )
    return Section(title="Reproduce and verify", blocks=(lead, Commands(lines=tuple(lines))))
