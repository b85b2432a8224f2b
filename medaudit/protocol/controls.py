"""The controls of an audit: planted copies and unseen people, taken through the identical path.

Axes: n plants (kinds one after the other), R reference people.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import Controls, GenerativeRecord, PlantedRecord
from medaudit.artifacts.records import RateRecord
from medaudit.config import PLANTED_KINDS, AuditSettings, planted_kinds
from medaudit.images.intensity import full_range_unit, to_depth
from medaudit.images.plants import BY_KIND, Donor, plant
from medaudit.images.principal import PrincipalAxes
from medaudit.protocol.found import Found
from medaudit.protocol.scoring import Bench
from medaudit.protocol.sides import Side
from medaudit.stats.controls import minimum_power, power
from medaudit.stats.flags import cross_fit_flags
from medaudit.stats.intervals import Rate, clopper_pearson
from medaudit.stats.matching import donor_rows, plant_rows, right_and_flagged

_FOLDS = 5
FALLS = 0.8  # lower limit of power under which a strength is named


_AXES = 128  # of the autoencoder's round trip, at most
_AXES_SHARE = 4  # films for each axis at least, or the round trip would lose nothing
_AXES_FILMS = 1000  # films it is fitted to, at most
_AXES_VALUES = 1 << 24  # pixels of them together, at most


@dataclass(frozen=True)
class Plants:
    """Planted copies of training images, made when asked for and stored at the depth of the synthetic images."""

    train: Side
    kind: np.ndarray  # (n,) of the kinds in `images/plants`
    place: np.ndarray  # (n,) places in T
    donor: np.ndarray  # (n,) places in T of another patient's film, -1 where none is needed
    axes: PrincipalAxes | None
    bits: int
    seed: int
    unplanted: tuple[str, ...] = ()  # kinds for which T has not what they need

    @classmethod
    def draw(
        cls, train: Side, settings: AuditSettings, doubled: np.ndarray, bits: int, seed: int
    ) -> "Plants":
        """For each kind `settings.plants` images of T, or all: one per patient first, no image twice."""
        axes = _autoencoder(train, seed)
        has = {"": True, "other": train.people > 1, "round_trip": axes is not None}
        kinds = planted_kinds(settings)
        drawn: list[tuple[str, np.ndarray, np.ndarray]] = []
        for kind in kinds:
            if has[BY_KIND[kind].needs]:
                rng = seeds.generator(seed, "plants", kind)
                rows = plant_rows(train.groups, doubled, settings.plants, rng)
                mixed = BY_KIND[kind].needs == "other"
                donors = donor_rows(train.groups, rows, rng) if mixed else np.full(len(rows), -1)
                drawn.append((kind, rows, donors))
        return cls(
            train,
            np.concatenate([np.full(len(rows), kind) for kind, rows, _ in drawn]),
            np.concatenate([rows for _, rows, _ in drawn]),
            np.concatenate([donors for _, _, donors in drawn]),
            axes,
            bits,
            seed,
            tuple(kind for kind in kinds if not has[BY_KIND[kind].needs]),
        )

    def __len__(self) -> int:
        return len(self.place)

    def images(self, which: np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1]."""
        originals = self.train.images(self.place[which])
        others = self.train.images(np.maximum(self.donor[which], 0))
        made = []
        round_trip = None if self.axes is None else self.axes.round_trip
        for kind, place, donor, image, other in zip(
            self.kind[which], self.place[which], self.donor[which], originals, others, strict=True
        ):
            given = Donor(other if donor >= 0 else None, round_trip)
            rng = seeds.generator(self.seed, "plant", str(kind), int(place))
            made.append(plant(str(kind), image, rng, given))
        depth = np.dtype(f"uint{self.bits}")
        return np.stack([full_range_unit(to_depth(image, depth), self.bits) for image in made])

    def seen_by(self, bench: Bench, found: Found) -> np.ndarray:
        """(n,) bool: flagged by this detector even as the only copy, with the right patient named.

        Of two patients blended in equal parts either is right.
        """
        groups, lone = self.train.groups, bench.judge(found).lone
        named = groups[found.row]
        either = np.array([BY_KIND[str(kind)].either for kind in self.kind]) & (self.donor >= 0)
        right = right_and_flagged(named, groups[self.place], lone)
        return right | (either & right_and_flagged(named, groups[self.donor], lone))


@dataclass(frozen=True)
class Evidence:
    """What the controls showed: power of each kind, unseen people flagged, and the record of both."""

    power: dict[str, Rate]
    negative: Rate
    weakest: tuple[str, float] | None
    record: Controls
    unplanted: tuple[str, ...] = ()  # required kinds that T does not allow


def weigh(
    plants: Plants, seen: dict[str, np.ndarray], benches: Sequence[Bench], settings: AuditSettings, seed: int,
    copies: GenerativeRecord | str,
) -> Evidence:  # fmt: skip
    """Power per kind over all detectors and of each, at confidence 1 - alpha; false alarms by cross-fitting.

    seen: (n,) bool for each detector's name; copies: the generative control, or why there is none.
    """
    confidence = 1 - settings.alpha
    anyone = np.any(list(seen.values()), axis=0)
    rates: dict[str, Rate] = {}
    planted = []
    for kind in (kind for kind in planted_kinds(settings) if kind not in plants.unplanted):
        own = plants.kind == kind
        rates[kind] = power(anyone[own], confidence)
        planted.append(
            PlantedRecord(
                kind=kind,
                strength=BY_KIND[kind].strength,
                required=kind in settings.required_kinds,
                power=rate_record(rates[kind]),
                by_detector={
                    name: rate_record(power(found[own], confidence)) for name, found in seen.items()
                },
            )
        )
    negative = _false_alarms(benches, settings, seed)
    required: dict[str, Rate] = {kind: rates[kind] for kind in settings.required_kinds if kind in rates}
    weakest = minimum_power(rates, required)
    record = Controls(
        negative=rate_record(negative),
        planted=planted,
        minimum_power=None if weakest is None else weakest[1],
        weakest_kind=None if weakest is None else weakest[0],
        falls_under=falls_under(rates),
        not_planted=list(plants.unplanted),
        given_up=given_up(settings),
        generative=copies if not isinstance(copies, str) else None,
        generative_not_run=copies if isinstance(copies, str) else None,
    )
    unplanted = tuple(kind for kind in plants.unplanted if kind in settings.required_kinds)
    return Evidence(required, negative, weakest, record, unplanted)


def given_up(settings: AuditSettings) -> list[str]:
    """The controls that the settings leave out to save time."""
    kinds = [kind for kind in PLANTED_KINDS if kind not in planted_kinds(settings)]
    return [*kinds, *(["generative"] if settings.controls == "quick" else [])]


def falls_under(rates: dict[str, Rate]) -> dict[str, str]:
    """For each family of edits of which a kind was planted: the weakest strength whose power may lie under FALLS."""
    found: dict[str, str] = {}
    for kind, rate in rates.items():
        if rate.low < FALLS:
            found.setdefault(BY_KIND[kind].family, BY_KIND[kind].strength)
    return found


def rate_record(rate: Rate) -> RateRecord:
    """A rate as findings write it."""
    return RateRecord(**asdict(rate))


def _false_alarms(benches: Sequence[Bench], settings: AuditSettings, seed: int) -> Rate:
    """Unseen people whom any detector flags, each judged against a reference without them.

    Only people whom every detector may ask count: the held-out ones, who come last, where one has learnt from T.
    """
    size = min(len(bench.people.score) for bench in benches)
    flagged = np.zeros(size, dtype=bool)
    for bench in benches if size > 1 else ():
        flagged |= cross_fit_flags(
            bench.people.score,
            min(_FOLDS, len(bench.people.score)),
            bench.count,
            bench.budget.familywise_each,
            bench.budget.fdr_each,
            settings.bootstrap,
            seeds.generator(seed, "cross-fit", bench.detector.name),
        )[-size:]
    return clopper_pearson(int(flagged.sum()), size)


def _autoencoder(train: Side, seed: int) -> PrincipalAxes | None:
    """The round trip that T's films allow; None where a film is all there is to each axis."""
    pixels = int(np.prod(train.cohort.image_shape))
    most = min(len(train), _AXES_FILMS, max(2, _AXES_VALUES // pixels))
    places = np.sort(seeds.generator(seed, "autoencoder").permutation(len(train))[:most])
    count = min(_AXES, len(places) // _AXES_SHARE)
    return PrincipalAxes.of(train.images(places), count) if count else None
