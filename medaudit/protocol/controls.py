"""The controls of an audit: planted copies and unseen people, taken through the identical path.

Axes: n plants (kinds one after the other), R reference people.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import Controls, PlantedRecord, RateRecord
from medaudit.config import PLANTED_KINDS, AuditSettings
from medaudit.images.intensity import full_range_unit, to_depth
from medaudit.images.transforms import STRENGTHS, plant
from medaudit.protocol.scoring import Bench
from medaudit.protocol.searching import Found
from medaudit.protocol.sides import Side
from medaudit.stats.controls import minimum_power, power
from medaudit.stats.flags import cross_fit_flags
from medaudit.stats.intervals import Rate, clopper_pearson
from medaudit.stats.matching import plant_rows, right_and_flagged

_FOLDS = 5


@dataclass(frozen=True)
class Plants:
    """Planted copies of training images, made when asked for and stored at the depth of the synthetic images."""

    train: Side
    kind: np.ndarray  # (n,) of PLANTED_KINDS
    place: np.ndarray  # (n,) places in T
    bits: int
    seed: int

    @classmethod
    def draw(
        cls, train: Side, settings: AuditSettings, doubled: np.ndarray, bits: int, seed: int
    ) -> "Plants":
        """For each kind `settings.plants` images of T, or all: one per patient first, no image twice."""
        kinds, places = [], []
        for kind in PLANTED_KINDS:
            rows = plant_rows(train.groups, doubled, settings.plants, seeds.generator(seed, "plants", kind))
            places.append(rows)
            kinds.append(np.full(len(rows), kind))
        return cls(train, np.concatenate(kinds), np.concatenate(places), bits, seed)

    def __len__(self) -> int:
        return len(self.place)

    def images(self, which: np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1]."""
        originals = self.train.images(self.place[which])
        made = [
            plant(kind, image, seeds.generator(self.seed, "plant", str(kind), int(place)))
            for kind, place, image in zip(self.kind[which], self.place[which], originals, strict=True)
        ]
        depth = np.dtype(f"uint{self.bits}")
        return np.stack([full_range_unit(to_depth(image, depth), self.bits) for image in made])

    def seen_by(self, bench: Bench, found: Found) -> np.ndarray:
        """(n,) bool: flagged by this detector even as the only copy, with the right patient named."""
        return right_and_flagged(
            self.train.groups[found.row], self.train.groups[self.place], bench.judge(found).lone
        )


@dataclass(frozen=True)
class Evidence:
    """What the controls showed: power of each kind, unseen people flagged, and the record of both."""

    power: dict[str, Rate]
    negative: Rate
    weakest: tuple[str, float] | None
    record: Controls


def weigh(
    plants: Plants, seen: dict[str, np.ndarray], benches: Sequence[Bench], settings: AuditSettings, seed: int
) -> Evidence:
    """Power per kind over all detectors and of each, at confidence 1 - alpha; false alarms by cross-fitting.

    seen: (n,) bool for each detector's name.
    """
    confidence = 1 - settings.alpha
    anyone = np.any(list(seen.values()), axis=0)
    rates: dict[str, Rate] = {}
    planted = []
    for kind in PLANTED_KINDS:
        own = plants.kind == kind
        rates[kind] = power(anyone[own], confidence)
        planted.append(
            PlantedRecord(
                kind=kind,
                strength=STRENGTHS[kind],
                required=kind in settings.required_kinds,
                power=rate_record(rates[kind]),
                by_detector={
                    name: rate_record(power(found[own], confidence)) for name, found in seen.items()
                },
            )
        )
    negative = _false_alarms(benches, settings, seed)
    weakest = minimum_power(rates, settings.required_kinds)
    record = Controls(
        negative=rate_record(negative),
        planted=planted,
        minimum_power=None if weakest is None else weakest[1],
        weakest_kind=None if weakest is None else weakest[0],
    )
    return Evidence({kind: rates[kind] for kind in settings.required_kinds}, negative, weakest, record)


def rate_record(rate: Rate) -> RateRecord:
    """A rate as findings write it."""
    return RateRecord(**asdict(rate))


def _false_alarms(benches: Sequence[Bench], settings: AuditSettings, seed: int) -> Rate:
    """Unseen people whom any detector flags, each judged against a reference without them."""
    size = len(benches[0].people.score)
    flagged = np.zeros(size, dtype=bool)
    for bench in benches if size > 1 else ():
        flagged |= cross_fit_flags(
            bench.people.score,
            min(_FOLDS, size),
            bench.count,
            bench.budget.familywise_each,
            bench.budget.fdr_each,
            settings.bootstrap,
            seeds.generator(seed, "cross-fit", bench.detector.name),
        )
    return clopper_pearson(int(flagged.sum()), size)
