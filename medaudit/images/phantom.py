"""A chest that belongs to nobody: frontal radiographs computed from a few hundred numbers, for demonstrations
and tests that must not hold a patient's film.

The film is built as X rays would: each part adds to the attenuation along the ray or, for air, takes from it;
then come scatter, the tone curve and quantum noise. It is believable at a glance and is no medical model.

Axes: (Y, X) pixels; coordinates, units and what varies are in `anatomy`. The patient's right is on the left.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medaudit.images.anatomy import (
    RIBS,
    Exposure,
    Patient,
    draw_exposure,
    draw_patient,
    exposures_of,
    normals,
)

__all__ = ["exposures_of", "phantom"]

FIELD = (2.30, 1.98)  # height and width that every film shows, in units of length


def phantom(patient_seed: int, exposure: int, shape: tuple[int, int]) -> np.ndarray:
    """Film number `exposure` of the phantom patient `patient_seed` → float32 in [0, 1] of `shape` (Y, X).

    The patient's anatomy follows from `patient_seed` alone; pose, breath, tone, noise and the side marker from
    both numbers. Raises ValueError for a film of fewer than 16 pixels a side.
    """
    if min(shape) < 16:
        raise ValueError("a phantom needs at least 16 pixels a side")
    patient = draw_patient(patient_seed)
    film = draw_exposure(patient_seed, exposure)
    scene = _Scene.of(patient, film, shape)
    trunk = _trunk(scene)
    attenuation = _soft_tissue(scene, trunk)
    attenuation += trunk * (_ribs(scene) + _spine(scene) + _shoulder_girdle(scene))
    return _expose(scene, attenuation)


@dataclass(frozen=True)
class _Scene:
    """The place of every pixel centre (Y, X) in the patient, and what is drawn there."""

    p: dict[str, float]
    patient: Patient
    film: Exposure
    x: np.ndarray  # (Y, X)
    y: np.ndarray  # (Y, X)
    side: np.ndarray  # (Y, X) |x|
    left: np.ndarray  # (Y, X) bool: the patient's left, on the right of the image
    pitch: float  # length of a pixel
    row: np.ndarray  # (Y,) places on the cassette, where the marker lies
    column: np.ndarray  # (X,)

    @classmethod
    def of(cls, patient: Patient, film: Exposure, shape: tuple[int, int]) -> "_Scene":
        pitch = max(FIELD[0] / shape[0], FIELD[1] / shape[1])
        row = (np.arange(shape[0]) - (shape[0] - 1) / 2) * pitch
        column = (np.arange(shape[1]) - (shape[1] - 1) / 2) * pitch
        e = film.value
        zoom = np.exp(-e["zoom"])
        cos, sin = zoom * np.cos(e["turn"]), zoom * np.sin(e["turn"])
        x = cos * column[None, :] - sin * row[:, None] - e["shift_x"]
        y = sin * column[None, :] + cos * row[:, None] - e["shift_y"]
        return cls(patient.value, patient, film, x, y, np.abs(x), x > 0, pitch * zoom, row, column)

    def edge(self, inside: np.ndarray, softness: float) -> np.ndarray:
        """0 outside to 1 inside, over `softness` or a pixel, whichever is wider; `inside` is a depth."""
        width = max(softness, self.pitch)
        s = np.clip(0.5 + inside / (2 * width), 0.0, 1.0)
        return s * s * (3.0 - 2.0 * s)

    def ellipse(
        self, x: float, y: float, long: float, short: float, turn: float, softness: float
    ) -> np.ndarray:
        """A soft ellipse with its long axis turned by `turn` from the horizontal, 0 to 1."""
        cos, sin = np.cos(turn), np.sin(turn)
        along = (cos * (self.x - x) + sin * (self.y - y)) / long
        across = (cos * (self.y - y) - sin * (self.x - x)) / short
        return self.edge((1.0 - np.sqrt(along**2 + across**2)) * min(long, short), softness)


def _cage(p: dict[str, float], y: np.ndarray | float) -> np.ndarray:
    """Half width of the rib cage at height y: a superellipse above its widest place, nearly straight below."""
    high = np.clip((p["cage_widest"] - y) / (p["cage_widest"] - p["apex"] + 0.03), 0.0, 1.0)
    round_top = np.sqrt(np.maximum(1.0 - high ** p["cage_power"], 0.0))
    below = 0.05 * np.clip(y - p["cage_widest"], 0.0, None)
    return p["apex_x"] + (p["cage_width"] - p["apex_x"]) * round_top - below


def _diaphragm(s: _Scene) -> np.ndarray:
    """Height y of the diaphragm above each pixel's place: two domes, the patient's right one higher."""
    p = s.p
    top = p["dome_right"] + p["dome_lead"] * (0.5 + 0.5 * np.tanh(s.x / 0.12)) + s.film.value["breath"]
    away = (s.side - p["dome_x"]) / 0.44
    return top + p["dome_height"] * np.where(away > 0, away**2, 0.40 * away**2)


def _flank(s: _Scene) -> np.ndarray:
    """Half width of the trunk at each pixel's height; above the armpits the arms continue it."""
    return s.p["side"] - s.p["side_taper"] * s.y + 0.9 * np.clip(-0.18 - s.y, 0.0, None) ** 1.4


def _trunk(s: _Scene) -> np.ndarray:
    """1 inside the skin, 0 in the air around: neck, sloping shoulders, flanks, (Y, X)."""
    p = s.p
    beyond = np.clip(s.side - p["neck"], 0.0, None)
    shoulder = p["shoulder_y"] + p["shoulder_slope"] * beyond - 0.20 * np.exp(-beyond / 0.10)
    neck = s.edge(p["neck"] - s.side, 0.04)
    return np.maximum(s.edge(s.y - shoulder, 0.04), neck) * s.edge(_flank(s) - s.side, 0.05)


def _air(s: _Scene, below: np.ndarray) -> np.ndarray:
    """Share of the ray that runs through lung, (Y, X) in [0, 1]; `below` is the height over the diaphragm."""
    p, side = s.p, s.side
    way = np.where(s.left, 1, -1)
    lateral = _cage(p, s.y) - 0.035 + way * p["asymmetry"]
    medial = p["mediastinum"] + way * p["mediastinum_lean"]
    medial = medial + (p["apex_x"] - medial) * np.exp(-np.clip(s.y - p["apex"], 0.0, None) / 0.13)
    lung = s.edge(lateral - side, 0.022) * s.edge(side - medial, 0.025) * s.edge(s.y - p["apex"], 0.05)
    deep = np.clip(1.0 - ((side - 0.42) / 0.52) ** 2, 0.0, 1.0)
    recess = 0.10 * s.edge(below + 0.16, 0.16)  # the lung reaches down behind the dome
    return np.minimum(lung * (s.edge(below, 0.018) + recess) * (0.66 + 0.34 * deep), 1.0)


def _heart(s: _Scene) -> np.ndarray:
    """Ventricles, right atrium and pulmonary trunk as one shadow, (Y, X) in [0, 1]."""
    p = s.p
    y = p["dome_right"] - p["heart_above"] + 0.5 * s.film.value["breath"]
    ventricles = s.ellipse(p["heart_x"], y, p["heart_long"], p["heart_short"], p["heart_turn"], 0.035)
    atrium = s.ellipse(p["atrium_x"], y - 0.03, p["atrium_size"] * 1.35, p["atrium_size"], 1.45, 0.03)
    artery = s.ellipse(p["aorta_x"] + 0.03, p["aorta_y"] + 0.25, 0.17, 0.10, 1.2, 0.03)
    return np.maximum(np.maximum(ventricles, atrium), 0.75 * artery)


def _soft_tissue(s: _Scene, trunk: np.ndarray) -> np.ndarray:
    """Chest wall, lungs with vessels, heart and great vessels, airways, abdomen: attenuation (Y, X)."""
    p, e = s.p, s.film.value
    flank = _flank(s)
    below = _diaphragm(s) - s.y
    air, heart = _air(s, below), _heart(s)
    depth = np.sqrt(np.clip(1.0 - (s.side / (flank + 0.10)) ** 2, 0.0, 1.0))  # the chest is round
    total = trunk * p["tissue"] * (0.22 + 0.63 * depth) * (1.0 - 0.72 * air)
    total += _lung_markings(s, air * (1.0 - 0.6 * heart))

    aorta = s.ellipse(p["aorta_x"], p["aorta_y"], p["aorta_size"], p["aorta_size"] * 0.92, 1.4, 0.022)
    thin = np.clip((-0.35 - s.y) / 0.35, 0.0, 1.0)  # towards the neck
    half_width = p["mediastinum"] * (1.0 - 0.25 * thin)
    strip = s.edge(half_width - np.abs(s.x - p["mediastinum_lean"]), 0.045) * trunk
    middle = np.maximum(np.maximum(p["heart_density"] * heart, 0.36 * aorta), (0.34 - 0.16 * thin) * strip)
    total += middle * (0.45 + 0.55 * s.edge(below, 0.05))
    total += p["abdomen"] * trunk * s.edge(-below, 0.020) * s.edge(flank - 0.06 - s.side, 0.08)
    total += _airways(s) + _breasts(s)

    stomach = p["dome_right"] + p["dome_lead"] + e["breath"] + 0.15
    gas = s.ellipse(p["gas_x"], stomach, 1.5 * p["gas_size"], p["gas_size"], 0.15, 0.03)
    return total - 0.34 * gas * np.exp(e["gas"]) * s.edge(-below - 0.025, 0.02)


def _airways(s: _Scene) -> np.ndarray:
    """Trachea and the two main bronchi, negative attenuation (Y, X)."""
    p = s.p
    tube = s.edge(p["trachea_width"] - np.abs(s.x - p["trachea_x"]), 0.016) * s.edge(p["carina"] - s.y, 0.03)
    for way, slope in ((-1.0, 1.1), (1.0, 0.75)):  # the right one falls more steeply
        run = way * (s.x - p["trachea_x"])
        off = np.abs(s.y - p["carina"] - slope * run) / np.hypot(1.0, slope)
        branch = s.edge(0.030 - off, 0.016) * s.edge(run, 0.02) * s.edge(0.16 - run, 0.05)
        tube = np.maximum(tube, 0.7 * branch)
    return -0.23 * tube


def _breasts(s: _Scene) -> np.ndarray:
    """A soft shadow over the lower lungs with a fading lower edge, (Y, X); some patients have next to none."""
    p = s.p
    u = (s.side - p["breast_x"]) / 0.34
    v = (s.y - p["breast_y"]) / 0.30
    disc = s.edge((1.0 - np.sqrt(u**2 + v**2)) * 0.3, 0.05)
    return max(p["breast"], 0.0) * disc * np.clip(0.5 + 0.8 * v, 0.0, 1.0)


def _lung_markings(s: _Scene, air: np.ndarray) -> np.ndarray:
    """Vessels that leave the hila and thin out, hilar shadows and a fine texture, times `air`, (Y, X)."""
    p = s.p
    total = p["texture"] * _texture(s) * air
    for left in (False, True):
        half = (air > 0.01) & (s.left if left else ~s.left)
        way = 1.0 if left else -1.0
        across = way * s.x[half] - p["hilum_x"] + 0.05
        down = s.y[half] - p["hilum_y"] + (0.03 if left else 0.0)  # the left hilum stands higher
        distance = np.hypot(across, down) + 1e-6
        angle = np.arctan2(down, across)
        root = np.sqrt(distance)
        wander = s.patient.vessels[int(left), 0, 2]
        angle += 0.10 * np.sin(9.0 * distance + wander) + 0.05 * np.sin(23.0 * distance - wander)
        field = np.zeros_like(angle)
        slope = np.zeros_like(angle)
        for turns, change, phase in s.patient.vessels[int(left)]:
            argument = turns * angle + change * root + phase
            field += np.cos(argument)
            slope -= turns * np.sin(argument)
        # the zero lines of the field are the vessels; field / |slope| * distance is the way to the nearest
        away = np.abs(field) * distance / np.sqrt(slope**2 + 4.0)
        width = np.maximum(0.030 * np.exp(-distance / 0.40), 0.55 * s.pitch)
        strength = np.exp(-distance / 0.60) * np.clip(distance / 0.20, 0.25, 1.0)
        shadow = p["vessels"] * strength * np.exp(-np.square(away / width))
        hilum = np.square(across / p["hilum_size"]) + np.square(down / (1.9 * p["hilum_size"]))
        shadow += p["hilum"] * np.exp(-hilum)
        total[half] += shadow * air[half]
    return total


def _texture(s: _Scene) -> np.ndarray:
    """The patient's fine lung pattern, mean 0 and deviation about 1, (Y, X): a sum of plane waves.

    Under an affine pose a plane wave is a row factor times a column factor: one matrix product for all.
    """
    kx, ky, phase, amplitude = s.patient.waves.T  # (WAVES,)
    x0, y0 = s.x[0, 0], s.y[0, 0]
    down = kx * (s.x[1, 0] - x0) + ky * (s.y[1, 0] - y0)  # phase a row
    right = kx * (s.x[0, 1] - x0) + ky * (s.y[0, 1] - y0)  # phase a column
    rows = np.exp(1j * np.arange(s.x.shape[0])[:, None] * down)  # (Y, WAVES)
    columns = np.exp(1j * np.arange(s.x.shape[1])[:, None] * right)  # (X, WAVES)
    start = amplitude * np.exp(1j * (kx * x0 + ky * y0 + phase))
    return ((rows * start) @ columns.T).real


def _ribs(s: _Scene) -> np.ndarray:
    """Back and front arcs of the ribs, (Y, X). A rib is a tilted ring: seen from the front, two half ellipses
    that meet at the side, a flat one behind and a steeper one in front."""
    p, turned = s.p, s.film.value["rotation"]
    total = np.zeros_like(s.x)
    for left in (False, True):
        half = s.left if left else ~s.left
        way = 1.0 if left else -1.0
        side, y = s.side[half], s.y[half]
        shade = np.zeros_like(side)
        for rib in range(RIBS):
            at = (int(left), rib)
            drop = p["rib_drop"] + p["rib_drop_growth"] * rib + s.patient.rib_drop[at]
            drop *= min(1.0, 0.5 + 0.17 * rib)
            front = (p["rib_front"] + s.patient.rib_front[at]) * min(1.0, 0.50 + 0.13 * rib) + way * turned
            turn = p["rib_first"] + p["rib_spacing"] * rib + s.patient.rib_y[at] + drop  # y at the side
            reach = float(_cage(p, turn)) + way * p["asymmetry"] - 0.6 * p["rib_width"]
            across = side / reach
            semi = np.where(y < turn, drop, front)
            down = (y - turn) / semi
            radius = np.sqrt(across**2 + down**2) + 1e-9
            # first-order distance to the ellipse: (radius - 1) over the gradient of the radius
            off = (radius - 1.0) * radius / np.sqrt((across / reach) ** 2 + (down / semi) ** 2 + 1e-9)
            # the front arc turns to cartilage, which casts no shadow; the lowest ribs have none
            bone = np.clip((across - 0.42 + 0.012 * rib) / 0.16, 0.0, 1.0)
            bone *= p["rib_front_share"] if rib < 8 else 0.0
            joint = np.clip((side - 0.03) / 0.05, 0.0, 1.0)
            blend = np.clip(0.5 + (y - turn) / 0.06, 0.0, 1.0)
            weight = p["rib_density"] * s.patient.rib_density[at] * (joint * (1.0 - blend) + bone * blend)
            shade += weight * _tube(off, p["rib_width"], s.pitch)
        total[half] = shade
    return total


def _tube(off: np.ndarray, width: float | np.ndarray, pitch: float) -> np.ndarray:
    """A hollow bone's shadow across its length: bright margins, paler marrow; `off` is from its middle."""
    u = np.abs(off) / width
    body = np.clip(0.5 + (1.0 - u) * width / max(0.012, pitch), 0.0, 1.0)
    return body * (0.62 + 0.38 * np.minimum(u, 1.0) ** 2)


def _spine(s: _Scene) -> np.ndarray:
    """Vertebral bodies, discs, pedicles and spinous processes, (Y, X)."""
    p = s.p
    middle = p["spine_bow"] * np.sin(1.9 * s.y + p["spine_bow_phase"])
    off = s.x - middle
    width = p["spine_width"] * (1.0 + 0.16 * s.y)
    # vertebrae grow downward: the count is the logarithm of a linear height
    growth = p["vertebra_growth"]
    count = np.log1p(np.maximum(growth * (s.y + 1.2), -0.9)) / (growth * p["vertebra"]) + p["vertebra_phase"]
    within = count - np.floor(count) - 0.5  # -0.5 to 0.5 inside one vertebra
    disc = np.clip((np.abs(within) - 0.36) / 0.08, 0.0, 1.0)
    column = s.edge(width * (1.0 - 0.09 * (1.0 - disc)) - np.abs(off), 0.016)
    bodies = column * (0.105 - 0.065 * disc) + 0.15 * np.exp(-np.square(off / (1.9 * width)))
    pedicles = np.exp(-np.square((np.abs(off) - 0.62 * width) / 0.020) - np.square((within + 0.12) / 0.16))
    process = np.exp(-np.square(off / 0.016) - np.square((within - 0.2) / 0.2))
    return bodies + 0.085 * pedicles + 0.07 * process


def _shoulder_girdle(s: _Scene) -> np.ndarray:
    """Clavicles, scapulae and the heads of the upper arms, (Y, X)."""
    p, turned = s.p, s.film.value["rotation"]
    total = np.zeros_like(s.x)
    for left in (False, True):
        half = s.left if left else ~s.left
        side, y = s.side[half], s.y[half]
        height, rise = s.patient.clavicle[int(left)]
        inner = 0.075 + (turned if left else -turned)
        run = np.clip((side - inner) / 0.80, 0.0, 1.3)
        middle = p["clavicle_y"] + height - (p["clavicle_rise"] + rise) * run
        middle = middle + p["clavicle_bend"] * np.sin(2 * np.pi * run)
        width = p["clavicle_width"] * (1.0 + 0.45 * np.exp(-run / 0.12))
        bone = _tube(y - middle, width, s.pitch)
        total[half] += 0.24 * bone * s.edge(side - inner, 0.02) * s.edge(1.02 - side, 0.05)
        # the scapula: a flat triangle, point down, with a dense margin towards the chest
        v = (y - p["scapula_y"]) / 0.36  # -1 at its top, 1 at its point
        u = side - p["scapula_x"] + p["scapula_turn"] * 0.36 * v
        length = s.edge((1.0 - np.abs(v)) * 0.36, 0.06)
        blade = s.edge(u, 0.02) * s.edge(0.20 * (1.0 - v) - u, 0.03)
        total[half] += length * (0.06 * blade + 0.07 * np.exp(-np.square((u - 0.012) / 0.018)))
        # the head of the upper arm
        away = np.hypot(side - 1.07, y - p["clavicle_y"] - 0.12)
        total[half] += 0.23 * s.edge(0.145 - away, 0.02)
    return total


def _expose(s: _Scene, attenuation: np.ndarray) -> np.ndarray:
    """Attenuation (Y, X) → film, float32 in [0, 1]: scatter, tone, noise, marker."""
    e = s.film.value
    spread = 0.22 / s.pitch
    density = np.maximum(attenuation, 0.0)
    haze = ndimage.gaussian_filter(density, spread, mode="nearest")
    veiled = (1.0 - e["scatter"]) * density + e["scatter"] * haze
    noise = ndimage.gaussian_filter(normals(s.film.rng, s.x.shape), 0.45, mode="nearest")
    # fewer quanta arrive behind dense parts: the deviation of their logarithm grows as exp(density / 2)
    veiled = veiled + np.exp(e["noise"] + 0.5 * veiled) * 1.6 * noise
    tone = 1.0 - np.exp(-0.98 * np.exp(e["contrast"]) * np.maximum(veiled, 0.0) ** 1.3)
    film = np.clip(tone / 0.88 + e["level"], 0.0, 1.0) ** np.exp(e["gamma"])
    return np.clip(np.maximum(film, 0.96 * _marker(s)), 0.0, 1.0).astype(np.float32)


# Strokes of the letters in a box of width 0.6 and height 1, x right and y down.
_LETTERS = {
    "L": [((0.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (0.6, 1.0))],
    "R": [
        ((0.0, 0.0), (0.0, 1.0)),
        ((0.0, 0.0), (0.4, 0.0)),
        ((0.4, 0.0), (0.58, 0.14)),
        ((0.58, 0.14), (0.58, 0.36)),
        ((0.58, 0.36), (0.4, 0.5)),
        ((0.4, 0.5), (0.0, 0.5)),
        ((0.26, 0.5), (0.6, 1.0)),
    ],
}


def _marker(s: _Scene) -> np.ndarray:
    """The lead letter beside the patient's shoulder, on the side that it names, (Y, X) in [0, 1]."""
    e = s.film.value
    size = 0.13
    way = 1.0 if s.film.marker == "L" else -1.0
    edge_x, edge_y = FIELD[1] / 2 - 0.16, -FIELD[0] / 2 + 0.17
    u0 = s.column[None, :] - way * (edge_x + e["marker_x"])
    v0 = s.row[:, None] - (edge_y + e["marker_y"])
    cos, sin = np.cos(e["marker_turn"]), np.sin(e["marker_turn"])
    u = (cos * u0 + sin * v0) / size + 0.3
    v = (cos * v0 - sin * u0) / size + 0.5
    nearest = np.full(s.x.shape, np.inf)
    for (ax, ay), (bx, by) in _LETTERS[s.film.marker]:
        dx, dy = bx - ax, by - ay
        along = np.clip(((u - ax) * dx + (v - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        nearest = np.minimum(nearest, np.hypot(u - ax - along * dx, v - ay - along * dy))
    return s.edge(0.085 * size - nearest * size, 0.008)
