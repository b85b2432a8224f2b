"""How films were exposed, processed and stored, in a few numbers each, whoever they show.

Two cohorts of one source agree in them up to chance; another detector, another window or another round of JPEG
moves them. Axes: N images, (Y, X) pixels, F features, f spatial frequency in cycles per pixel.
"""

import numpy as np

# Column by column; the words are what a report calls them.
FEATURES: tuple[str, ...] = (
    "the darkest tones",
    "dark tones",
    "middle tones",
    "bright tones",
    "the brightest tones",
    "the share of fully black or white pixels",
    "the brightness of the border",
    "the evenness of the border",
    "sharpness",
    "the finest detail",
    "noise",
    "the balance of upright and level edges",
)
_TONES = (0.02, 0.25, 0.5, 0.75, 0.98)
_SPECTRUM = (0.04, 0.30)  # cycles per pixel over which the slope of the power spectrum is fitted
_FINEST = 0.35  # cycles per pixel and above
_LEAST = 1e-9  # of power and of gradients: a flat image has a logarithm too


def acquisition(images: np.ndarray) -> np.ndarray:
    """(N, Y, X) float32 in [0, 1] → (N, F) float64, columns as in FEATURES. Sides of at least 8 pixels."""
    if images.ndim != 3 or min(images.shape[1:]) < 8:
        raise ValueError("images must be (N, Y, X) with sides of at least 8 pixels")
    values = images.astype(np.float64)
    flat = values.reshape(len(values), -1)
    clipped = ((flat <= 0) | (flat >= 1)).mean(axis=1)
    columns = [*np.quantile(flat, _TONES, axis=1), clipped, *_border(values), *_spectrum(values)]
    return np.stack([*columns, _noise(values), _edges(values)], axis=1)


def _border(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) mean and (N,) standard deviation of a frame a sixteenth of the shorter side wide."""
    wide = max(1, min(values.shape[1:]) // 16)
    frame = np.ones(values.shape[1:], dtype=bool)
    frame[wide:-wide, wide:-wide] = False
    border = values[:, frame]  # (N, pixels of the frame)
    return border.mean(axis=1), border.std(axis=1)


def _spectrum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) slope of log power over log frequency, and (N,) log share of power in the finest detail."""
    height, width = values.shape[1:]
    taper = np.hanning(height)[:, None] * np.hanning(width)  # the borders do not match and would ring
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.rfft2(centred * taper)))  # (N, Y, X // 2 + 1)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    band = (radius >= _SPECTRUM[0]) & (radius <= _SPECTRUM[1])
    log_f = np.log(radius[band])
    log_f -= log_f.mean()
    slope = np.log(power[:, band] + _LEAST) @ log_f / np.square(log_f).sum()
    fine, whole = power[:, radius >= _FINEST].sum(axis=1), power.sum(axis=(1, 2))
    return slope, np.log((fine + _LEAST) / (whole + _LEAST))


def _noise(values: np.ndarray) -> np.ndarray:
    """(N,) log of the noise's standard deviation. Immerkaer 1996, eq. 3: a mask blind to edges of second order."""
    rows = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
    masked = rows[:, :, :-2] - 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return np.log(np.sqrt(np.pi / 2) / 6 * np.abs(masked).mean(axis=(1, 2)) + _LEAST)


def _edges(values: np.ndarray) -> np.ndarray:
    """(N,) log of mean absolute differences along rows over those along columns: squashing moves it."""
    along, down = (np.abs(np.diff(values, axis=axis)).mean(axis=(1, 2)) for axis in (2, 1))
    return np.log((along + _LEAST) / (down + _LEAST))
