"""Grey values and spectra against plain twins and pictures whose spectrum is known."""

import numpy as np
import pytest

from medaudit.images.spectrum import RINGS, WINDOW, fine_rings, grey_shares, radial_log_power


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_grey_shares_count_each_pixel_once() -> None:
    images = np.array([[[0.0, 0.24, 0.26], [0.5, 0.99, 1.0]]])
    assert grey_shares(images, bins=4).tolist() == [[2 / 6, 1 / 6, 1 / 6, 2 / 6]]
    many = rng().random((5, 7, 3))
    twin = [np.histogram(one, bins=256, range=(0, 1))[0] / one.size for one in many]
    np.testing.assert_array_equal(grey_shares(many), twin)


def test_a_wave_lands_in_its_ring() -> None:
    column = np.arange(64)
    for cycles in (0.125, 0.25, 0.375):
        wave = np.broadcast_to(0.5 + 0.4 * np.sin(2 * np.pi * cycles * column), (1, 48, 64))
        assert int(np.nanargmax(radial_log_power(wave)[0])) == round(cycles * 2 * RINGS)


def test_white_noise_is_flat_and_its_power_is_its_variance() -> None:
    noise = 0.5 + 0.1 * rng().standard_normal((40, 96, 80))
    power = radial_log_power(noise.astype(np.float32)).mean(axis=0)
    assert np.abs(power[6:] - np.log10(0.01)).max() < 0.05  # the mean and the window take from the first


def test_a_twin_with_the_plain_transform() -> None:
    image = rng(1).random((1, 11, 14)).astype(np.float32)
    window = np.outer(np.hanning(13)[1:-1], np.hanning(16)[1:-1])
    whole = np.abs(np.fft.fft2((image[0] - image[0].mean()) * window)) ** 2 / (11 * 14) / (window**2).mean()
    rings: dict[int, list[float]] = {}
    for y in range(11):
        for x in range(8):  # one half of the plane, as the other mirrors it
            place = int(np.hypot(np.fft.fftfreq(11)[y], x / 14) * 2 * RINGS)
            if (y, x) != (0, 0) and place < RINGS:
                rings.setdefault(place, []).append(whole[y, x])
    found = radial_log_power(image)[0]
    assert {place for place in range(RINGS) if np.isfinite(found[place])} == set(rings)
    for place, values in rings.items():
        assert found[place] == pytest.approx(np.log10(np.mean(values)), abs=1e-4)


def test_flat_and_large_images_are_finite_and_only_the_middle_is_seen() -> None:
    assert np.isfinite(radial_log_power(np.full((1, 64, 64), 0.5))[:, 1:]).all()
    image = rng(2).random((1, WINDOW + 40, WINDOW + 20)).astype(np.float32)
    changed = image.copy()
    changed[:, :20], changed[:, :, -10:] = 0, 0
    np.testing.assert_array_equal(radial_log_power(image), radial_log_power(changed))
    assert fine_rings().sum() == RINGS // 2
