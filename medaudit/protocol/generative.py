"""The generative control: images of a diffusion model over-trained on a few films of T, taken through the audit.

Hand-made edits alone overstate power (D-Rep, NeurIPS 2024); these are copies as a generator makes them, and whose
they are is known without any detector. Axes: n generated images, k films of as many patients, (Y, X) pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from medaudit import seeds
from medaudit.artifacts.findings import GenerativeRecord
from medaudit.artifacts.store import write_whole
from medaudit.config import AuditSettings, GenerativeSettings
from medaudit.images.intensity import full_range_unit, resize_unit, to_depth
from medaudit.protocol.controls import rate_record
from medaudit.protocol.described import Machine
from medaudit.protocol.found import Found
from medaudit.protocol.scoring import Bench
from medaudit.protocol.sides import Side
from medaudit.stats.controls import CLEAR, clear_copies, power_over_patients
from medaudit.stats.matching import right_and_flagged
from medaudit.stats.reference import draw_one_per_patient

FEWEST = 4  # patients: with fewer there is little for a copy to be told from
NAME = "generative"
_LARGEST = 128  # pixels of the longer side that the model learns; larger films are made smaller for it
_PORTION = 16  # images measured at once


@dataclass(frozen=True)
class Generated:
    """What the model made, and of which film each image is a clear copy."""

    train: Side
    settings: GenerativeSettings
    place: np.ndarray  # (k,) places in T of the films
    small: np.ndarray  # (n, y, x) float32 in [0, 1], as made
    bits: int
    film: np.ndarray  # (n,) nearest of the k films
    ratio: np.ndarray  # (n,) of its RMSE to that of the next film
    rmse: np.ndarray  # (n,) to the nearest film
    clear: np.ndarray  # (n,) bool

    def __len__(self) -> int:
        return len(self.small)

    def images(self, which: np.ndarray | slice) -> np.ndarray:
        """(n, Y, X) float32 in [0, 1], at the size of T's films and the depth of the synthetic images."""
        shape = self.train.cohort.image_shape
        made = np.stack([resize_unit(image, shape) for image in self.small[which]])
        return full_range_unit(to_depth(made, np.dtype(f"uint{self.bits}")), self.bits)

    def seen_by(self, bench: Bench, found: Found) -> np.ndarray:
        """(n,) bool: flagged by this detector even as the only copy, with the patient of the nearest film named."""
        groups = self.train.groups
        return right_and_flagged(groups[found.row], groups[self.place[self.film]], bench.judge(found).lone)

    def weighed(self, seen: Mapping[str, np.ndarray], confidence: float) -> GenerativeRecord:
        """Power on the clear copies; seen: (n,) bool for each detector's name."""
        clear, small = self.clear, self.small.shape[1:]
        film = self.film[clear]
        any_clear = bool(clear.any())
        rates = {
            name: rate_record(power_over_patients(found[clear], film, confidence))
            for name, found in {"": np.any(list(seen.values()), axis=0), **seen}.items()
            if any_clear
        }
        return GenerativeRecord(
            films=len(self.place),
            steps=self.settings.steps,
            generated=len(self),
            clear=int(clear.sum()),
            patients=len(np.unique(film)),
            ratio_line=CLEAR,
            median_ratio=float(np.median(self.ratio)),
            median_rmse=float(np.median(self.rmse[clear])) if any_clear else None,
            learnt_at=None if small == self.train.cohort.image_shape else (small[0], small[1]),
            power=rates.pop("", None),
            by_detector=rates,
        )


def weigh_copies(
    generated: Generated | str, seen: Mapping[str, np.ndarray], confidence: float
) -> GenerativeRecord | str:
    """Power on the clear copies; where the control was not run, why."""
    return generated if isinstance(generated, str) else generated.weighed(seen, confidence)


def generate_copies(
    train: Side, doubled: np.ndarray, settings: AuditSettings, bits: int, seed: int, machine: Machine
) -> Generated | str:
    """Over-train on films of patients of T drawn by seed, none of them in `doubled`; a sentence where it cannot be.

    The images are remembered, so that a killed audit does not train again.
    """
    if settings.controls == "quick":
        return "left out to save time (controls: quick)"
    place = _drawn(train, doubled, settings.generative.films, seed)
    if len(place) < FEWEST:
        return (
            f"needs films of {FEWEST} training patients of whom no film stands under another patient too; "
            f"there {'is' if len(place) == 1 else 'are'} {len(place)}"
        )
    films = train.images(place)
    small = np.stack([resize_unit(film, _learnt_shape(film.shape)) for film in films])
    if (small == small[0]).all():
        return "the films drawn for it are all the same, so there is no telling whose copy an image is"
    made = _remembered(small, settings.generative, seed, machine)
    if not np.isfinite(made).all():
        return "its training did not converge on these films"
    distance = _distances(made, small)
    film, ratio, clear = clear_copies(distance)
    return Generated(train, settings.generative, place, made, bits, film, ratio, distance.min(axis=1), clear)


def _drawn(train: Side, doubled: np.ndarray, most: int, seed: int) -> np.ndarray:
    """(k,) places in T, ascending: a film of each of at most `most` patients."""
    rng = seeds.generator(seed, NAME, "films")
    places = draw_one_per_patient(train.groups, rng)
    places = places[~np.isin(train.groups[places], doubled)]
    return np.sort(rng.permutation(places)[:most])


def _learnt_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(Y, X) at which the model learns: at most _LARGEST a side, so that time and memory stay bounded."""
    share = min(1.0, _LARGEST / max(shape))
    return max(1, round(shape[0] * share)), max(1, round(shape[1] * share))


def _remembered(films: np.ndarray, settings: GenerativeSettings, seed: int, machine: Machine) -> np.ndarray:
    kept = machine.scratch(f"{NAME}.npz")
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as archive:
            return archive["images"]
    from medaudit.generators.overtrained import overtrained

    machine.progress.start("generative control: training", settings.steps)
    own = seeds.derive(seed, NAME)
    model = overtrained(films, settings.steps, own, machine.device, machine.progress)
    machine.progress.start("generative control: images", settings.images)
    images, stream = model.sample(settings.images, own, progress=machine.progress), BytesIO()
    np.savez(stream, images=images)
    write_whole(kept, stream.getvalue())
    return images


def _distances(images: np.ndarray, films: np.ndarray) -> np.ndarray:
    """(n, k) RMSE in [0, 1]."""
    parts = [
        np.sqrt(
            np.square(images[start : start + _PORTION, None] - films[None]).mean(
                axis=(2, 3), dtype=np.float64
            )
        )
        for start in range(0, len(images), _PORTION)
    ]
    return np.concatenate(parts)
