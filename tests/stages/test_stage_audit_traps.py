"""Traps: situations in which an audit could be fooled, each with its verdict and its reason in plain words.

Axes: N synthetic images, T and H with follow-up films; phantoms of 36 x 30 pixels unless told otherwise.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_parts as parts
import numpy as np
import pytest

from medaudit.artifacts.findings import Audit, open_audit
from medaudit.cli import app as front
from medaudit.errors import PatientInBothSplits
from medaudit.images.transforms import add_noise, blur, gamma, jpeg
from medaudit.stages import audit

NOVEL = range(800, 848)


def audited(folder: Path, **options: Any) -> Audit:
    audit.run(
        folder / "T",
        folder / "H",
        folder / "S",
        folder / "A",
        settings=parts.settings(),
        device="cpu",
        **options,
    )
    record = open_audit(folder / "A")[1]
    print(record.verdict, *record.reasons, sep="\n  - ")  # pytest -rP shows each trap's verdict and words
    return record


def rewrite(folder: Path, name: str, images: np.ndarray, patients: list[str | None]) -> None:
    """Another T or H in the place of the one that `usual` wrote."""
    (folder / name).rename(folder / f"usual-{name}")
    parts.write(folder / name, images, patients, role={"T": "train", "H": "holdout"}[name])


def says(record: Audit, *words: str) -> bool:
    return all(any(word in sentence for sentence in (*record.reasons, *record.next_steps)) for word in words)


@pytest.mark.parametrize(
    "copy",
    [lambda film: film, lambda film: jpeg(film, 80), lambda film: add_noise(film, 0.01, parts.generator(1))],
)
def test_a_leaking_holdout(tmp_path: Path, copy: Callable[[np.ndarray], np.ndarray]) -> None:
    """Films of T stand in H under other ids: H is nobody unseen, and no closeness to T can be shown with it."""
    parts.usual(tmp_path, parts.films(NOVEL))
    leaked = np.stack([copy(film) for film in parts.films(range(3, 12))])
    rewrite(
        tmp_path, "H", np.concatenate([parts.films(range(500, 551)), leaked]), parts.names(range(500, 560))
    )
    record = audited(tmp_path)
    assert record.verdict == "inconclusive"
    assert record.reasons[0] == (
        "9 pairs of images are nearly the same in the training and in the held-out cohort, so the held-out people are "
        "not unseen and cannot serve as the comparison; remove them with dedup, split again and repeat."
    )
    assert record.next_steps[0].startswith("Run dedup on the whole real cohort, split it again")


@pytest.mark.parametrize("holdout", [3, 5])
def test_a_tiny_holdout(tmp_path: Path, holdout: int) -> None:
    parts.usual(tmp_path, parts.films(NOVEL), holdout=holdout)
    record = audited(tmp_path)
    assert record.verdict == "inconclusive" and says(record, "add held-out patients")
    assert record.next_steps == [
        f"Keep more patients away from the model: with at least {8 - holdout} more held-out patients the audit "
        "could have come to a verdict; half and half is best."
    ]
    (tmp_path / "more").mkdir()
    parts.usual(tmp_path / "more", parts.films(NOVEL), holdout=8)
    assert not says(audited(tmp_path / "more"), "add held-out patients")


def verdict_reasons(record: Audit) -> list[str]:
    """Without the line about follow-up films, which an audit of such a T carries last."""
    return [
        reason
        for reason in record.reasons
        if not reason.startswith("Another picture of the same person: of ")
    ]


@pytest.mark.parametrize("copied", [False, True])
def test_films_of_training_stand_under_two_patients(tmp_path: Path, copied: bool) -> None:
    """Those patients cannot be asked as unseen; told, and a copy of such a film is still found."""
    made = parts.films(NOVEL)
    parts.usual(tmp_path, np.concatenate([made, parts.films([5])]) if copied else made)
    twins = [add_noise(parts.film(person), 0.01, parts.generator(person)) for person in range(2, 9)]
    rewrite(
        tmp_path,
        "T",
        np.concatenate([parts.films(range(60)), np.stack(twins)]),
        parts.names([*range(60), *range(70, 77)]),
    )
    record = audited(tmp_path)
    assert record.verdict == ("do-not-release" if copied else "release-supported"), record.reasons
    assert verdict_reasons(record)[-1] == (
        "7 pairs of nearly the same images belong to different training patients, who cannot serve as unseen people; "
        "run dedup to remove them."
    )
    assert record.duplicates.people_left_out == 14
    assert says(record, "repeated films are remembered first") == copied


@pytest.mark.parametrize("sides", ["T", "H", "TH"])
def test_no_patient_column(tmp_path: Path, sides: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the command line: exit code 20, until someone states that one image is one patient."""
    parts.usual(tmp_path, parts.films(parts.UNSEEN))
    for name, first in (("T", 0), ("H", 500)):
        if name in sides:
            rewrite(tmp_path, name, parts.films(range(first, first + 55)), [None] * 55)
    config = tmp_path / "quick.yaml"
    kinds = ", ".join(parts.FEW_KINDS)
    quick = f"controls: quick\nrequired_kinds: [{kinds}]\n"
    config.write_text(f"plants: 40\nbootstrap: 200\npermutations: 1000\n{quick}")
    call = ["audit", "--train", f"{tmp_path}/T", "--holdout", f"{tmp_path}/H", "--synthetic", f"{tmp_path}/S"]
    call += ["--config", str(config), "--device", "cpu", "--quiet"]
    assert front.run([*call, "--out", f"{tmp_path}/A"]) == 20
    shown = capsys.readouterr().out
    assert "The cohorts carry no patient ids, so images of one patient may count as several people" in shown
    assert "next: Ingest again with patient ids (--manifest or --patient-regex)" in shown
    assert front.run([*call, "--out", f"{tmp_path}/B", "--one-image-one-patient"]) == 0


@pytest.mark.parametrize("sides", ["T", "H", "TH"])
def test_one_patient_id_for_everybody(tmp_path: Path, sides: str) -> None:
    parts.usual(tmp_path, parts.films(NOVEL))
    for name, first, many in (("T", 0, 60), ("H", 500, 53)):
        if name in sides:
            rewrite(tmp_path, name, parts.films(range(first, first + many)), [f"all-{name}"] * many)
    record = audited(tmp_path)
    assert record.verdict == "inconclusive"
    assert ("T" in sides) == says(
        record, "All 60 training images carry one patient id, so nothing can be said"
    )
    assert ("H" in sides) == says(
        record, "All 53 held-out images carry one patient id, so nothing can be said"
    )
    assert says(record, "Read the patient ids again")


def test_one_patient_id_in_both_cohorts(tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films(NOVEL))
    for name, first in (("T", 0), ("H", 500)):
        rewrite(tmp_path, name, parts.films(range(first, first + 20)), ["unknown"] * 20)
    with pytest.raises(PatientInBothSplits, match="1 patient appears in both"):
        audited(tmp_path)


def test_one_id_against_many_people_is_no_evidence(tmp_path: Path) -> None:
    """All of T as one of 201 patients: it has most films, so it is nearest most often, and the cohort test rejects."""
    parts.usual(tmp_path, parts.films(NOVEL), train=6, holdout=200)
    rewrite(tmp_path, "T", parts.films(range(120)), ["unknown"] * 120)
    record = audited(tmp_path)
    assert record.cohort_test.rejects and record.verdict == "inconclusive"
    assert record.reasons[0].startswith("All 120 training images carry one patient id")


def test_one_id_for_most_of_a_cohort(tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films(NOVEL), train=6)
    rewrite(tmp_path, "T", parts.films(range(90)), ["unknown"] * 50 + parts.names(range(50, 90)))
    record = audited(tmp_path)
    assert record.verdict == "inconclusive"
    assert says(
        record, "50 of 90 training images carry one and the same patient id, so several people may count"
    )


@pytest.mark.parametrize("copied", [False, True])
def test_holdout_of_another_source(tmp_path: Path, copied: bool) -> None:
    """H went through another export; S, new people in the style of T, is nearer to T for its style alone."""
    made = parts.films(NOVEL)
    parts.usual(tmp_path, np.concatenate([made, parts.films([5, 6])]) if copied else made)
    other = np.stack([gamma(blur(film, 0.8), 0.8) for film in parts.films(range(500, 560))])
    rewrite(tmp_path, "H", other, parts.names(range(500, 560)))
    record = audited(tmp_path)
    assert record.source is not None and record.source.differs and record.source.p_value <= 0.001
    assert record.verdict == ("do-not-release" if copied else "inconclusive")
    assert says(
        record,
        "The training and the held-out films are not of one source: they differ in noise (p = 0.001, allowed 0.001), "
        "so the held-out people are no fair comparison",
        "Ingest the films of training and hold-out together, with one preparation, and let split draw both",
    )
    assert record.counts.flagged == 2 * copied
    assert {detector.reference_size for detector in record.detectors} == {60}  # of T alone


def test_one_source_is_not_doubted(tmp_path: Path) -> None:
    parts.usual(tmp_path, parts.films(NOVEL))
    record = audited(tmp_path)
    assert record.verdict == "release-supported" and record.next_steps == []
    assert record.source is not None and not record.source.differs
    assert (record.source.train_people, record.source.holdout_people) == (60, 60)
    assert record.variety is not None and record.variety.model_dump() == {
        "distinct": 48, "repeated": 0, "groups": 0, "largest": 1,
    }  # fmt: skip


@pytest.mark.parametrize("sigma", [1.5, 3.0, 6.0])
def test_a_blurred_generator_is_not_flagged_for_its_blur(tmp_path: Path, sigma: float) -> None:
    """Pictures without detail are close to everybody; new people all the same."""
    parts.usual(tmp_path, np.stack([blur(film, sigma) for film in parts.films(NOVEL)]))
    record = audited(tmp_path)
    assert record.counts.flagged == 0 and not record.cohort_test.rejects
    assert record.verdict == "release-supported" or says(record, "The set holds only"), record.reasons


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_collapsed_generator(tmp_path: Path, noise: float) -> None:
    """One new image over and over is nobody's copy, and no evidence that the model copies nobody."""
    rng = parts.generator(4)
    parts.usual(tmp_path, np.stack([add_noise(parts.film(800), noise, rng) for _ in range(40)]))
    record = audited(tmp_path)
    assert record.counts.flagged == 0 and not record.cohort_test.rejects
    assert record.verdict == "inconclusive"
    assert verdict_reasons(record) == [
        "The set holds only 1 different image, and no fewer than 7 could have been evidence that it is closer to the "
        "training patients than to unseen ones; audit more images of this model.",
        "All 40 images are one and the same: the set has no variety, and images that are the same count once in every "
        "limit.",
    ]
    assert record.bounds.model_rate_upper is None and record.cohort_test.smallest_detectable_run is None
    assert record.next_steps == [
        "Generate and audit more different images: the set holds 1, and the cohort test needs 7."
    ]
    assert record.variety is not None and record.variety.distinct == 1 and record.variety.largest == 40


def test_images_that_repeat_count_once_in_the_limits(tmp_path: Path) -> None:
    """29 people, then 11 of them again, some re-encoded: 40 images, 29 looks at the model."""
    own = parts.films(range(800, 829))
    again = [jpeg(film, 85) for film in own[:5]] + [
        add_noise(film, 0.01, parts.generator(2)) for film in own[3:9]
    ]
    parts.usual(tmp_path, np.concatenate([own, np.stack(again)]))
    record = audited(tmp_path)
    assert record.verdict == "release-supported", record.reasons
    assert record.variety is not None and record.variety.model_dump() == {
        "distinct": 29, "repeated": 20, "groups": 9, "largest": 3,
    }  # fmt: skip
    assert verdict_reasons(record)[-1] == (
        "40 images are 29 different ones: the others repeat them, and images that are the same count once in every "
        "limit."
    )
    assert "0 of 40 images (29 of them different) were found" in record.reasons[0]
    (tmp_path / "once").mkdir()
    parts.usual(tmp_path / "once", own)
    assert audited(tmp_path / "once").bounds.model_rate_upper == record.bounds.model_rate_upper


def test_a_training_film_repeated_is_a_copy_each_time(tmp_path: Path) -> None:
    parts.usual(
        tmp_path, np.concatenate([np.repeat(parts.films([7]), 30, axis=0), parts.films(range(800, 810))])
    )
    record = audited(tmp_path)
    assert record.verdict == "do-not-release" and record.counts.flagged == 30
    assert record.counts.patients_exposed == 1
    assert says(
        record, "30 of 40 images are one and the same, so the set has little variety; it holds 11 different"
    )
