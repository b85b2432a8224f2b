"""What differs between phantom patients, and between two exposures of one: named numbers drawn from a seed.

Lengths are in units of about 17 cm, x to the right of the image (the patient's left), y down, origin in the
middle of the chest; a film is about 2.3 units high. Every number is drawn by itself from a smooth law, so that
patients differ as people do: in everything a little, and nobody has a near twin.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from medaudit import seeds

RIBS = 11  # pairs drawn; the lowest lie under the diaphragm
WAVES = 72  # plane waves of the lung texture
VESSEL_WAVES = 10  # waves per lung whose zero lines are the vessels

# name: (mean, standard deviation). Draws are kept within 2.5 deviations.
_BODY: dict[str, tuple[float, float]] = {
    "cage_width": (0.80, 0.040),  # half width of the rib cage at its widest
    "cage_power": (2.1, 0.22),  # how square its shoulders are
    "cage_widest": (0.42, 0.08),  # y of the widest place
    "apex": (-0.82, 0.045),  # y of the lung tops
    "apex_x": (0.31, 0.025),
    "asymmetry": (0.0, 0.025),  # the patient's left lung is wider by this
    "dome_right": (0.66, 0.060),  # y of the diaphragm's top, patient's right
    "dome_lead": (0.055, 0.035),  # how much lower the left dome is
    "dome_height": (0.215, 0.045),
    "dome_x": (0.40, 0.040),
    "mediastinum": (0.135, 0.018),  # half width above the heart
    "mediastinum_lean": (0.015, 0.015),
    "heart_x": (0.180, 0.035),
    "heart_above": (0.215, 0.035),  # of the right dome's top
    "heart_long": (0.44, 0.045),
    "heart_short": (0.31, 0.035),
    "heart_turn": (0.62, 0.14),  # radians, apex down to the patient's left
    "atrium_x": (-0.055, 0.022),
    "atrium_size": (0.20, 0.022),
    "heart_density": (0.50, 0.06),
    "aorta_x": (0.105, 0.022),
    "aorta_y": (-0.36, 0.045),
    "aorta_size": (0.105, 0.020),
    "hilum_y": (-0.03, 0.045),
    "hilum_x": (0.20, 0.022),
    "hilum_size": (0.085, 0.018),
    "hilum": (0.21, 0.04),
    "spine_bow": (0.0, 0.022),  # scoliosis
    "spine_bow_phase": (0.0, 0.8),
    "spine_width": (0.092, 0.008),
    "vertebra": (0.142, 0.011),  # height of the first vertebra drawn
    "vertebra_growth": (0.10, 0.02),
    "vertebra_phase": (0.0, 1.8),
    "trachea_x": (-0.008, 0.014),
    "trachea_width": (0.050, 0.005),
    "carina": (-0.27, 0.04),
    "rib_first": (-0.93, 0.030),
    "rib_spacing": (0.152, 0.009),
    "rib_drop": (0.30, 0.060),  # from the spine to the side
    "rib_drop_growth": (0.016, 0.006),
    "rib_front": (0.30, 0.050),  # from the side on to the front end
    "rib_width": (0.033, 0.003),
    "rib_density": (0.20, 0.028),
    "rib_front_share": (0.62, 0.12),  # density of the front arc relative to the back one
    "clavicle_y": (-0.62, 0.045),
    "clavicle_rise": (0.11, 0.05),
    "clavicle_bend": (0.035, 0.016),
    "clavicle_width": (0.036, 0.0035),
    "scapula_x": (0.74, 0.04),
    "scapula_y": (-0.30, 0.07),
    "scapula_turn": (0.22, 0.10),
    "shoulder_y": (-0.93, 0.045),
    "shoulder_slope": (0.24, 0.07),
    "neck": (0.25, 0.028),
    "side": (0.965, 0.045),  # half width of the trunk
    "side_taper": (0.03, 0.035),
    "tissue": (1.0, 0.075),
    "abdomen": (0.40, 0.06),
    "breast": (0.05, 0.035),
    "breast_y": (0.36, 0.06),
    "breast_x": (0.47, 0.035),
    "gas_x": (0.42, 0.06),
    "gas_size": (0.105, 0.035),
    "texture": (0.043, 0.008),
    "vessels": (0.20, 0.03),
}

_EXPOSURE: dict[str, tuple[float, float]] = {
    "turn": (0.0, 0.014),  # radians
    "shift_x": (0.0, 0.014),
    "shift_y": (0.0, 0.016),
    "zoom": (0.0, 0.011),
    "breath": (0.0, 0.018),  # how much lower the diaphragm stands
    "rotation": (0.0, 0.009),  # the front of the chest moves against the back when the patient is turned
    "gas": (0.0, 0.30),
    "gamma": (0.0, 0.07),
    "level": (0.0, 0.018),
    "contrast": (0.0, 0.045),
    "scatter": (0.16, 0.035),
    "noise": (-4.85, 0.20),  # logarithm of the deviation at the film's mean density
    "marker_x": (0.0, 0.025),
    "marker_y": (0.0, 0.05),
    "marker_turn": (0.0, 0.06),
}


@dataclass(frozen=True)
class Patient:
    """The anatomy of one phantom patient. `value` holds the named lengths; arrays differ left and right."""

    value: dict[str, float]
    rib_y: np.ndarray  # (2, RIBS) deviation from even spacing
    rib_drop: np.ndarray  # (2, RIBS)
    rib_front: np.ndarray  # (2, RIBS)
    rib_density: np.ndarray  # (2, RIBS) factor
    clavicle: np.ndarray  # (2, 2) deviation of height and rise
    waves: np.ndarray  # (WAVES, 4): frequency along x, along y, phase, amplitude
    vessels: np.ndarray  # (2, VESSEL_WAVES, 3): turns round the hilum, change with distance, phase


@dataclass(frozen=True)
class Exposure:
    """Pose, tone and noise of one film; `marker` is the letter laid on the cassette, `rng` the quanta's stream,
    good for one drawing."""

    value: dict[str, float]
    marker: str
    rng: np.random.Generator


def draw_patient(patient_seed: int) -> Patient:
    """The anatomy that belongs to a seed, always the same."""
    rng = seeds.generator(patient_seed, "phantom", "patient")
    value = _draw(_BODY, rng)
    frequency = np.exp(rng.uniform(np.log(2.0), np.log(9.0), WAVES))  # periods per unit length
    direction = rng.uniform(0, np.pi, WAVES)
    waves = np.stack(
        [
            2 * np.pi * frequency * np.cos(direction),
            2 * np.pi * frequency * np.sin(direction),
            rng.uniform(0, 2 * np.pi, WAVES),
            np.sqrt(2 / WAVES) * (frequency / 4.0) ** -0.35,
        ],
        axis=1,
    )
    vessels = np.stack(
        [
            rng.uniform(3.0, 9.0, (2, VESSEL_WAVES)) * np.where(rng.random((2, VESSEL_WAVES)) < 0.5, -1, 1),
            rng.uniform(-7.0, 7.0, (2, VESSEL_WAVES)),
            rng.uniform(0, 2 * np.pi, (2, VESSEL_WAVES)),
        ],
        axis=-1,
    )
    return Patient(
        value=value,
        rib_y=0.012 * normals(rng, (2, RIBS)),
        rib_drop=0.025 * normals(rng, (2, 1)) + 0.012 * normals(rng, (2, RIBS)),
        rib_front=0.030 * normals(rng, (2, 1)) + 0.020 * normals(rng, (2, RIBS)),
        rib_density=np.exp(0.14 * normals(rng, (2, RIBS))),
        clavicle=np.array([0.018, 0.030]) * normals(rng, (2, 2)),
        waves=waves,
        vessels=vessels,
    )


def draw_exposure(patient_seed: int, exposure: int) -> Exposure:
    """Pose, tone and noise of film number `exposure` of a patient, always the same."""
    rng = seeds.generator(patient_seed, "phantom", "exposure", exposure)
    value = _draw(_EXPOSURE, rng)
    return Exposure(value=value, marker="R" if rng.random() < 0.5 else "L", rng=rng)


def exposures_of(patient_seed: int) -> int:
    """How many films the patient has: one for about four of five patients, else two or three."""
    chance = seeds.generator(patient_seed, "phantom", "films").random()
    return 1 if chance < 0.77 else 2 if chance < 0.92 else 3


def normals(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, float64, from uniform ones: the stream of uniform numbers stays the same from
    one numpy to the next, that of `standard_normal` need not."""
    return special.ndtri(np.clip(rng.random(shape), 1e-12, 1 - 1e-12))


def _draw(laws: dict[str, tuple[float, float]], rng: np.random.Generator) -> dict[str, float]:
    scores = np.clip(normals(rng, (len(laws),)), -2.5, 2.5)
    return {
        name: mean + spread * float(z) for (name, (mean, spread)), z in zip(laws.items(), scores, strict=True)
    }
