"""An image is described the same, to the last bit, in any batch: else an exact copy would not be at distance 0."""

import numpy as np
import pytest

from medaudit.detectors import VECTOR_DETECTORS, VectorDetector

IMAGES = 23


@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (140, 132), (256, 200)])
@pytest.mark.parametrize("detector", VECTOR_DETECTORS, ids=lambda detector: detector.name)
def test_any_batch_gives_the_same_bits(detector: VectorDetector, shape: tuple[int, int]) -> None:
    images = np.random.Generator(np.random.Philox(3)).random((IMAGES, *shape), dtype=np.float32)
    whole = detector.describe(images)
    assert len(whole) == IMAGES
    for start, stop in ((0, 1), (5, 12), (7, IMAGES)):
        assert np.array_equal(detector.describe(images[start:stop]), whole[start:stop])
    for place in (0, IMAGES - 1):
        assert np.array_equal(detector.poses(images[place : place + 1])[0, 0], whole[place])
