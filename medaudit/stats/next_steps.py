"""What would change the verdict, in sentences that begin with something to do. Nothing where nothing need be done.

The reasons say what was found; these say who can do what about it: withhold, train again, bring more people, mend
the cohorts. Each step has a code; no two steps of one audit are a pair of CONTRADICTIONS. A step that is about the
audit of the images that were not flagged says so first. Axes: none.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from medaudit.stats.cohort_test import smallest_detectable_run
from medaudit.stats.counted import counted
from medaudit.stats.intervals import Rate, clopper_pearson
from medaudit.stats.reasons import CohortEvidence
from medaudit.stats.step_codes import Code, Step
from medaudit.stats.tail import MIN_REFERENCE
from medaudit.stats.verdict import DO_NOT_RELEASE, INCONCLUSIVE, RELEASE_SUPPORTED

_MOST_PEOPLE = 1 << 20  # held-out patients that anyone could be asked for
_MOST_PLANTS = 100_000
WITHHOLD = "Withhold the"
WITHOUT = "Without the"
NOTHING_LEFT = "Every image is flagged, so withholding would leave nothing to release."


@dataclass(frozen=True)
class Rest:
    """The verdict on S without its flagged images; `reasons` of the second look, the most decisive first."""

    verdict: str
    reasons: tuple[str, ...]
    synthetic: int
    flagged: int
    cohort_rejects: bool
    alpha: float
    power: Mapping[str, Rate] | None = None  # of the required kinds, in that look; None: as in the first
    distinct: int | None = None  # different images that remain; None: all
    cohort: CohortEvidence | None = None

    @property
    def enough(self) -> bool:
        """Whether withholding alone makes the rest fit for release."""
        return self.verdict == RELEASE_SUPPORTED


@dataclass(frozen=True)
class Standing:
    """What an audit found, as far as somebody can do something about it."""

    verdict: str
    synthetic: int
    flagged: int
    patients_exposed: int
    train_patients: int
    holdout_patients: int
    cohort: CohortEvidence
    rest: Rest | None = None  # None: nothing flagged, nothing would be left, or a second look already
    second_look: bool = False
    power: Mapping[str, Rate] | None = None  # of the required kinds
    kind_words: Mapping[str, str] = field(default_factory=dict)  # how a kind reads after "copies"
    required_power: float = 0.9
    negative_broken: bool = False  # more unseen people flagged than promised
    without_line: bool = False  # a detector has too few different unseen people
    reference: int | None = None  # the fewest unseen people of such a detector; None: all of them
    duplicates_in_train: int = 0
    duplicates_across: int = 0
    one_id: bool = False  # most images of a cohort carry one patient id
    source_differs: bool = False
    patient_level: bool = True
    distinct: int | None = None

    @property
    def different(self) -> int:
        """Images of S that are no twins."""
        return self.synthetic if self.distinct is None else self.distinct


def next_steps(standing: Standing) -> list[str]:
    """The sentences of `ordered_steps`."""
    return [step.text for step in ordered_steps(standing)]


def ordered_steps(standing: Standing) -> list[Step]:
    """The steps, the most decisive first; none for a release that is supported."""
    if standing.verdict == RELEASE_SUPPORTED:
        return []
    training = _training_steps(standing) if standing.verdict == DO_NOT_RELEASE else []
    bring: list[Step] = []
    if standing.rest is not None and standing.rest.verdict == INCONCLUSIVE:
        rest = _of_the_rest(standing, standing.rest)
        bring = _said_of_the_rest([*_people_steps(rest), *_control_steps(rest)], standing.flagged)
    elif standing.verdict == INCONCLUSIVE:
        bring = [*_people_steps(standing), *_control_steps(standing)]
    return [*_flag_steps(standing), *training, *_cohort_steps(standing), *bring]


def remainder_wording(flagged: int, rest: Rest, out: int = 0) -> str:
    """Whether withholding the flagged images is enough, in one sentence.

    `out`: images released before that are looked at beside those that remain, and are not counted among them.
    """
    images = f"Withholding the {counted(flagged, 'flagged image')}"
    remain = f"the remaining {counted(rest.synthetic, 'image')}"
    writes = "them"
    if out:
        writes = remain
        remain += f", with the {out:,} that {'is' if out == 1 else 'are'} out already,"
    if rest.enough:
        passes = "passes" if rest.synthetic == 1 else "pass"
        return (
            f"{images} would be enough: {remain} {passes} the same audit with the {rest.alpha:g} of alpha that a "
            f"second look has; release with --withhold-flagged writes {writes}."
        )
    found = []
    if rest.flagged:
        found.append(f"{rest.flagged:,} more {'is' if rest.flagged == 1 else 'are'} flagged")
    if rest.cohort_rejects:
        found.append("the cohort test still rejects")
    if rest.verdict == INCONCLUSIVE or not found:
        return (
            f"{images} would not be enough: an audit of {remain} is inconclusive, for reasons that withholding "
            "does not mend."
        )
    return f"{images} would not be enough: among {remain.rstrip(',')}, {' and '.join(found)}."


def needed_holdout(train_patients: int, different: int, run_alpha: float) -> int | None:
    """The fewest held-out patients with which the leading run can be evidence in so many different images.

    It may take no more than half of the training patients either. None when no number would do.
    """
    most = min(different, train_patients // 2)

    def will_do(holdout: int) -> bool:
        run = smallest_detectable_run(train_patients, holdout, run_alpha)
        return run is not None and run <= most

    low, high = 0, 1
    while not will_do(high):
        low, high = high, 2 * high
        if high > _MOST_PEOPLE:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if will_do(middle) else (middle, high)
    return high


def needed_plants(required_power: float, confidence: float) -> int:
    """The fewest plants of a kind whose power, all found, has a lower limit of `required_power`."""
    count = max(1, math.floor(math.log((1 - confidence) / 2) / math.log(required_power)))
    while count < _MOST_PLANTS and clopper_pearson(count, count, confidence).low < required_power:
        count += 1
    return count


def _of_the_rest(standing: Standing, rest: Rest) -> Standing:
    """How the images stand that were not flagged; where the second look was not kept, as the whole set."""
    if rest.power is None or rest.cohort is None:
        return replace(standing, verdict=rest.verdict)
    return replace(
        standing,
        verdict=rest.verdict,
        synthetic=rest.synthetic,
        distinct=rest.distinct,
        cohort=rest.cohort,
        power=rest.power,
    )


def _said_of_the_rest(steps: Iterable[Step], flagged: int) -> list[Step]:
    """The steps, each beginning with the images that it is about."""
    about = f"{WITHOUT} {counted(flagged, 'flagged image')}: "
    return [Step(step.code, f"{about}{step.text[0].lower()}{step.text[1:]}") for step in steps]


def _flag_steps(standing: Standing) -> list[Step]:
    """Whether to withhold the flagged images: told once, and never beside a sentence that it is no use."""
    flagged, rest = standing.flagged, standing.rest
    if not flagged:
        return []
    if rest is not None and not rest.enough:
        found = [Step(Code.NOT_ENOUGH, remainder_wording(flagged, rest))]
        if rest.verdict == INCONCLUSIVE:
            found += _said_of_the_rest([Step(Code.WHY_NOT, reason) for reason in rest.reasons[:1]], flagged)
        return found
    if rest is None and flagged == standing.synthetic:
        return [Step(Code.NOTHING_LEFT, NOTHING_LEFT)]
    if rest is None and standing.second_look:
        return [
            Step(
                Code.WITHHELD_ONCE,
                "Flagged images were withheld once already; a second time cannot clear the rest.",
            )
        ]
    they = "it is" if flagged == 1 else "they are"
    withhold = f"{WITHHOLD} {counted(flagged, 'flagged image')}: {they} marked `flagged` in matches.parquet."
    found = [Step(Code.WITHHOLD, withhold)]
    return found if rest is None else [*found, Step(Code.ENOUGH, remainder_wording(flagged, rest))]


def _training_steps(standing: Standing) -> list[Step]:
    rest, exposed = standing.rest, standing.patients_exposed
    of_many = standing.cohort.rejects if rest is None else rest.verdict == DO_NOT_RELEASE
    if of_many:
        return [
            Step(
                Code.TRAIN_LESS,
                "Train again so that the model remembers less: on more patients, or with fewer passes over them; then "
                "generate and audit a new set.",
            )
        ]
    if not standing.flagged:
        return []
    account = "accounts" if exposed == 1 else "account"
    return [
        Step(
            Code.TRAIN_WITHOUT,
            f"{counted(exposed, 'training patient')} of {standing.train_patients:,} {account} for the flags: train "
            "again without them, if they are few, or give the model more patients.",
        )
    ]


def _cohort_steps(standing: Standing) -> list[Step]:
    """What is wrong with T and H themselves."""
    steps = []
    if standing.duplicates_across:
        steps.append(
            Step(
                Code.SPLIT_AGAIN,
                "Run dedup on the whole real cohort, split it again, and train and audit with the new halves: now the "
                "same film is in both.",
            )
        )
    if standing.duplicates_in_train:
        pairs = "pair" if standing.duplicates_in_train == 1 else "pairs"
        steps.append(
            Step(
                Code.DEDUP,
                f"Run dedup on the real cohort before the next training: {standing.duplicates_in_train:,} {pairs} of "
                "training films stand under two patients, and repeated films are remembered first.",
            )
        )
    if standing.one_id:
        steps.append(
            Step(
                Code.READ_IDS,
                "Read the patient ids again: inspect shows where they were found; ingest takes --manifest or "
                "--patient-regex.",
            )
        )
    if not standing.patient_level:
        steps.append(
            Step(
                Code.GIVE_IDS,
                "Ingest again with patient ids (--manifest or --patient-regex); if each patient has one image, say so "
                "with --one-image-one-patient.",
            )
        )
    if standing.source_differs:
        steps.append(
            Step(
                Code.ONE_SOURCE,
                "Ingest the films of training and hold-out together, with one preparation, and let split draw both; "
                "the model has to be trained again on the new half.",
            )
        )
    return steps


def _people_steps(standing: Standing) -> list[Step]:
    """More held-out patients, or more images."""
    cohort, people = standing.cohort, standing.train_patients + standing.holdout_patients
    run = cohort.run_needed
    # A run that half of T could give is out of reach only for want of images.
    few_images = cohort.run_detectable is None and run is not None and 2 * run <= standing.train_patients
    if few_images:
        return [
            Step(
                Code.MORE_IMAGES,
                f"Generate and audit more different images: the set holds {standing.different:,}, and the cohort test "
                f"needs {run:,}.",
            )
        ]
    blind = cohort.run_detectable is None or (run is not None and 2 * run > standing.train_patients)
    reference = people if standing.reference is None else standing.reference
    short = max(0, MIN_REFERENCE - reference) if standing.without_line else 0
    if not blind and not standing.without_line:
        return []
    needed = needed_holdout(standing.train_patients, standing.different, cohort.run_alpha) if blind else None
    if blind and needed is None:
        return [
            Step(
                Code.MORE_PEOPLE,
                f"Bring more people: {counted(standing.train_patients, 'training patient')} and "
                f"{counted(standing.different, 'different image')} are too few for any hold-out to help.",
            )
        ]
    missing = max(short, (needed or 0) - standing.holdout_patients)
    if missing > 0:
        return [
            Step(
                Code.MORE_HELD_OUT,
                f"Keep more patients away from the model: with at least {missing:,} more held-out patients the "
                "audit could have come to a verdict; half and half is best.",
            )
        ]
    return [Step(Code.MORE_HELD_OUT, "Keep more patients away from the model; half and half is best.")]


def _control_steps(standing: Standing) -> list[Step]:
    """Which planted copies were missed, and whether planting more would do."""
    power = standing.power or {}
    weak = {kind: rate for kind, rate in power.items() if rate.low < standing.required_power}
    few = [kind for kind, rate in weak.items() if rate.count == rate.of]
    missed = [kind for kind in weak if kind not in few]
    all_of, too_few = _named(few, standing.kind_words), _named(missed, standing.kind_words)
    steps = []
    if few:
        confidence = next(iter(weak.values())).confidence
        steps.append(
            Step(
                Code.PLANT_MORE,
                f"Plant more copies, at least {needed_plants(standing.required_power, confidence):,} of each kind "
                f"(plants in the config; it takes as many training images): all {all_of} were found, but they were "
                "too few to say so.",
            )
        )
    if missed:
        steps.append(
            Step(
                Code.SEE_MORE,
                f"Make the audit see more: it missed too many {too_few}. More held-out patients lower the line, "
                "larger images (--size) tell people better apart, and fewer synthetic images need a less strict line.",
            )
        )
    if not power:
        steps.append(
            Step(
                Code.NAME_KINDS, "Name the kinds of copies that must be found (required_kinds in the config)."
            )
        )
    if standing.negative_broken:
        steps.append(
            Step(
                Code.LOOK_AT_FALSE_ALARMS,
                "Look at the unseen people who were flagged: two ids of one patient, or films of one person in both "
                "cohorts, are the usual cause; dedup finds the same film.",
            )
        )
    return steps


def _named(kinds: list[str], kind_words: Mapping[str, str]) -> str:
    """Copies of these kinds, in words."""
    words = [f"copies {kind_words.get(kind, kind)}" for kind in kinds]
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} and {words[-1]}"
