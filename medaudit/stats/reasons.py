"""The reasons of a verdict in sentences that a board can read, each with its numbers. None where there is none.

A sentence says what was found and, where it is a doubt, what would resolve it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from medaudit.stats.counted import counted
from medaudit.stats.intervals import Rate
from medaudit.stats.relation import same_person_sentence

_ENOUGH_IMAGES = 10  # of a cohort before one patient's share of them means anything


@dataclass(frozen=True)
class CohortEvidence:
    """What the two cohort tests found, each with the part of alpha it may use."""

    nearest_in_train: int
    of: int
    expected: float
    excess_p: float
    excess_alpha: float
    run_length: int
    run_patients: int
    run_p: float
    run_alpha: float
    run_detectable: int | None  # None: the cohorts or S are too small for any run to be evidence
    run_needed: int | None = None  # the same whatever the size of S

    @property
    def rejects(self) -> bool:
        """Whether one of both tests rejects "S is no closer to T than to H"."""
        return self.excess_p <= self.excess_alpha or self.run_p <= self.run_alpha


@dataclass(frozen=True)
class SourceDoubt:
    """T and H differ more in a feature, named in words, than halves of one source would."""

    feature: str
    p_value: float
    level: float


def zero_found_wording(
    synthetic: int, rate_upper: float | None, hidden: int | None, alpha: float, different: int | None = None,
    sources: int | None = None,
) -> str:  # fmt: skip
    """The sentence about what may still be in there when nothing was flagged.

    `different`: images that are no twins; `sources`: training films that a model copies at least, for the rate.
    """
    several = f" ({different:,} of them different)" if different is not None and different < synthetic else ""
    found = f"0 of {synthetic:,} images{several} were found to copy a patient's scan"
    if rate_upper is None and hidden is None:
        return f"{found}; the controls are too weak to bound what was missed."
    parts = [found]
    if rate_upper is not None:
        parts.append(
            f"with {100 * (1 - alpha):g} % confidence the model{_many_copied(sources)} copies in at most "
            f"{_at_most(rate_upper)} of its images, for copies of the kinds tested"
        )
    if hidden is not None:
        missed = (
            "none was missed"
            if hidden == 0
            else f"copies of at most {counted(hidden, 'training film')} were missed"
        )
        parts.append(f"if copies are found no less often than the planted ones, {missed} in this release")
    return "; ".join(parts) + "."


def _many_copied(sources: int | None) -> str:
    if sources is None or sources < 2:
        return ""
    return f", if it copies {sources:,} training films or more about equally often,"


def flag_sentences(
    synthetic: int, train_patients: int, flagged: int, exposed: int, same_person: int
) -> list[str]:
    """Images that give patients away, and how many of them are other pictures rather than copies."""
    if not flagged:
        return []
    if same_person:
        verb = "gives" if flagged == 1 else "give"
        return [
            f"{flagged:,} of {synthetic:,} images {verb} a training patient away, closer to a film than unseen people "
            f"come; {counted(exposed, 'patient')} of {train_patients:,} would be exposed.",
            same_person_sentence(flagged, same_person),
        ]
    verb = "copies" if flagged == 1 else "copy"
    return [
        f"{flagged:,} of {synthetic:,} images {verb} a training patient's scan more closely than unseen people come; "
        f"{counted(exposed, 'patient')} of {train_patients:,} would be exposed."
    ]


def cohort_sentences(cohort: CohortEvidence) -> list[str]:
    """Which of the two cohort tests rejects, with its count and its part of alpha."""
    sentences = []
    if cohort.excess_p <= cohort.excess_alpha:
        sentences.append(
            f"The set as a whole is too close to the training patients: {cohort.nearest_in_train:,} of "
            f"{cohort.of:,} images lie nearest to a training image, where {cohort.expected:,.1f} would by chance "
            f"({_p(cohort.excess_p)}, allowed {cohort.excess_alpha:.2g})."
        )
    if cohort.run_p <= cohort.run_alpha:
        sentences.append(
            f"The {cohort.run_length:,} images that resemble real ones most all match training images, of "
            f"{counted(cohort.run_patients, 'patient')} ({_p(cohort.run_p)}, allowed {cohort.run_alpha:.2g})."
        )
    return sentences


def search_sentences(searched_whole: bool) -> list[str]:
    """A search that was not whole."""
    if searched_whole:
        return []
    return [
        "Not every image was compared with every training image; run the audit on the whole of both cohorts."
    ]


def leak_sentences(duplicates_across: int) -> list[str]:
    """People who are in T and in H."""
    if not duplicates_across:
        return []
    pairs = "pair of images is" if duplicates_across == 1 else "pairs of images are"
    return [
        f"{duplicates_across:,} {pairs} nearly the same in the training and in the held-out cohort, so the held-out "
        "people are not unseen and cannot serve as the comparison; remove them with dedup, split again and repeat."
    ]


def source_sentences(source: SourceDoubt | None) -> list[str]:
    """T and H of two sources."""
    if source is None:
        return []
    return [
        f"The training and the held-out films are not of one source: they differ in {source.feature} "
        f"({_p(source.p_value)}, allowed {source.level:g}), so the held-out people are no fair comparison; take both "
        "from one source, prepared in one way, and let split draw them."
    ]


def no_id_sentences(patient_level: bool) -> list[str]:
    """Cohorts without patient ids."""
    if patient_level:
        return []
    return [
        "The cohorts carry no patient ids, so images of one patient may count as several people; give patient ids, "
        "or state one_image_one_patient in the config if each patient has one image."
    ]


def one_id_sentences(train: tuple[int, int, int], holdout: tuple[int, int, int]) -> list[str]:
    """Each side as images, patients, images of the patient with the most."""
    sentences = []
    for name, (images, patients, most) in (("training", train), ("held-out", holdout)):
        if patients == 1 and images > 1:
            sentences.append(
                f"All {images:,} {name} images carry one patient id, so nothing can be said about people; check where "
                "the ids were read from."
            )
        elif images >= _ENOUGH_IMAGES and 2 * most > images:
            sentences.append(
                f"{most:,} of {images:,} {name} images carry one and the same patient id, so several people may count "
                "as one; check where the ids were read from."
            )
    return sentences


def reference_sentences(
    without_line: tuple[str, ...], cohort: CohortEvidence, different: int, train_patients: int, holdout_patients: int
) -> list[str]:  # fmt: skip
    """Too few people for a tail, for a run to be evidence, or for S as small as it is."""
    needed = cohort.run_needed
    people = f"{train_patients:,} training and {holdout_patients:,} held-out patients"
    sentences = []
    if without_line:
        sentences.append(
            f"With {people} there are too few different people to say how close chance comes "
            f"({', '.join(without_line)}); add held-out patients."
        )
    if cohort.run_detectable is None and needed is None:
        sentences.append(
            f"With {people} no run of training matches could have been evidence; add held-out patients."
        )
    elif needed is not None and train_patients > 1 and 2 * needed > train_patients:
        sentences.append(
            f"With {people} the cohort test sees copying only when {needed:,} training patients are copied, more than "
            "half of them; add held-out patients."
        )
    elif cohort.run_detectable is None:
        sentences.append(
            f"The set holds only {counted(different, 'different image')}, and no fewer than {needed:,} could have been "
            "evidence that it is closer to the training patients than to unseen ones; audit more images of this model."
        )
    return sentences


def share_sentences(blind: tuple[str, ...], detectors: int) -> list[str]:
    """Detectors whose share of alpha no number of copies could reach."""
    if not blind:
        return []
    shared = f"With alpha shared by {counted(detectors, 'detector')}" if detectors > 1 else "With this alpha"
    fewer = "use fewer detectors or " if detectors > 1 else ""
    return [
        f"{shared} {', '.join(blind)} could flag no image, however alike and however many; {fewer}add held-out "
        "patients."
    ]


def power_sentences(
    power: Mapping[str, Rate], required_power: float, kind_words: Mapping[str, str]
) -> list[str]:
    """Required kinds of copies whose power is too low."""
    if not power:
        return ["No kind of planted copy was required, so it is not known what this audit would have seen."]
    weak = sorted(
        (kind for kind in power if power[kind].low < required_power), key=lambda kind: power[kind].low
    )
    sentences = []
    for kind in weak:
        rate = power[kind]
        sentences.append(
            f"The audit found {rate.count:,} of {rate.of:,} planted copies {kind_words.get(kind, kind)}: power is at "
            f"least {_at_least(rate.low)} with {100 * rate.confidence:g} % confidence, and {_percent(required_power)} "
            "is required."
        )
    return sentences


def generative_sentences(power: Rate, patients: int, required_power: float) -> list[str]:
    """One sentence when fewer of the over-trained model's copies were found than the required power."""
    if power.value >= required_power:
        return []
    return [
        f"Of {power.of:,} copies that a diffusion model, over-trained on purpose, made of the films of "
        f"{counted(patients, 'training patient')} the audit found {power.count:,} ({_percent(power.value)}, interval "
        f"{_percent(power.low)} to {_percent(power.high)}), fewer than the {_percent(required_power)} required of "
        "planted copies: copies as a generator makes them may be missed."
    ]


def unplanted_sentences(unplanted: tuple[str, ...], kind_words: Mapping[str, str]) -> list[str]:
    """Required kinds of copies that T did not allow to plant."""
    return [
        f"Copies {kind_words.get(kind, kind)} could not be planted in this training cohort, so it is not known whether "
        "they would have been found."
        for kind in unplanted
    ]


def negative_sentences(negative: Rate, promise: float) -> list[str]:
    """More unseen people flagged than the rules promise."""
    if negative.low <= promise:
        return []
    return [
        f"{negative.count:,} of {negative.of:,} unseen people were flagged as if they were copies (at least "
        f"{_at_least(negative.low)}), more than the {_at_most(promise)} promised; copies cannot be told from likeness."
    ]


def notes(suspects: int, expected_suspects: float, duplicates_in_train: int) -> list[str]:
    """Suspects and duplicates within T, which are told and do not decide."""
    notes = []
    if suspects:
        lie = "image lies" if suspects == 1 else "images lie"
        notes.append(
            f"{suspects:,} {lie} closer to a training image than any unseen person does, where "
            f"{expected_suspects:,.2f} would by chance; they are listed for the reviewer."
        )
    if duplicates_in_train:
        pairs, belong = ("pair", "belongs") if duplicates_in_train == 1 else ("pairs", "belong")
        notes.append(
            f"{duplicates_in_train:,} {pairs} of nearly the same images {belong} to different training patients, who "
            "cannot serve as unseen people; run dedup to remove them."
        )
    return notes


def variety_sentences(synthetic: int, different: int, largest: int) -> list[str]:
    """Images of S that are one and the same."""
    if different >= synthetic:
        return []
    counted = "images that are the same count once in every limit"
    if different == 1:
        return [f"All {synthetic:,} images are one and the same: the set has no variety, and {counted}."]
    if 2 * largest >= synthetic:
        return [
            f"{largest:,} of {synthetic:,} images are one and the same, so the set has little variety; it holds "
            f"{different:,} different images, and {counted}."
        ]
    return [f"{synthetic:,} images are {different:,} different ones: the others repeat them, and {counted}."]


def cohort_clear(cohort: CohortEvidence) -> str:
    """The cohort tests when neither rejects."""
    return (
        f"The set is no closer to the training patients than to unseen ones: {cohort.nearest_in_train:,} of "
        f"{cohort.of:,} images lie nearest to a training image, where {cohort.expected:,.1f} would by chance "
        f"({_p(cohort.excess_p)}); leading run of {cohort.run_length:,} ({_p(cohort.run_p)})."
    )


def power_clear(power: Mapping[str, Rate], required_power: float, kind_words: Mapping[str, str]) -> str:
    """The hardest required kind and its power."""
    weakest = min(power, key=lambda kind: power[kind].low)
    rate = power[weakest]
    return (
        f"Planted copies of {counted(len(power), 'kind')} were looked for; the hardest were those "
        f"{kind_words.get(weakest, weakest)}, of which {rate.count:,} of {rate.of:,} were found: power is at least "
        f"{_at_least(rate.low)}, and {_percent(required_power)} is required."
    )


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _at_least(share: float) -> str:
    """A lower limit in percent, rounded down so that it stays one."""
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"


def _at_most(share: float) -> str:
    """An upper limit in percent with two digits that count, rounded up so that it stays one."""
    percent = 100 * share
    decimals = max(0, 1 - math.floor(math.log10(percent))) if percent > 0 else 0
    return f"{math.ceil(percent * 10**decimals - 1e-9) / 10**decimals:.{decimals}f} %"


def _p(p: float) -> str:
    """A p-value as a board reads it."""
    return "p below 0.0001" if p < 1e-4 - 1e-8 else f"p = {p:.2g}"
