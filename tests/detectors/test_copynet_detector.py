"""The network and its detector: shapes, the same bits in any batch, blind to brightness and flat areas."""

import numpy as np
import pytest
import torch

from medaudit.config import CopyNetSettings
from medaudit.detectors import Detector
from medaudit.detectors.copynet.contrast import local_contrast, to_square
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.network import build_encoder, describe_encoder
from medaudit.images.intensity import local_contrast_normalise
from medaudit.images.phantom import phantom
from medaudit.images.transforms import invert, mirror
from medaudit.search.nearest import ArrayBlocks, nearest

VALUES = 24
SETTINGS = CopyNetSettings(size=32, fold=2, channels=(8, 12), values=VALUES)


def detector(seed: int = 0) -> Detector:
    return CopyNet(build_encoder(describe_encoder(SETTINGS), seed), SETTINGS.size)


def films(count: int, shape: tuple[int, int]) -> np.ndarray:
    return np.stack([phantom(700 + i, 0, shape) for i in range(count)])


@pytest.mark.parametrize("shape", [(28, 20), (32, 32), (70, 61)])
def test_any_batch_gives_the_same_bits(shape: tuple[int, int]) -> None:
    images, seen = films(19, shape), detector()
    whole, asked = seen.describe(images), seen.poses(images)
    assert whole.shape == (19, 1, VALUES) and asked.shape == (19, 4, 1, VALUES)
    assert whole.dtype == asked.dtype == np.float32
    assert np.array_equal(asked[:, 0], whole)
    for start, stop in ((0, 1), (3, 11), (15, 19)):
        assert np.array_equal(seen.describe(images[start:stop]), whole[start:stop])
        assert np.array_equal(seen.poses(images[start:stop]), asked[start:stop])
    order = np.random.Generator(np.random.Philox(1)).permutation(19)
    assert np.array_equal(seen.describe(images[order]), whole[order])
    assert seen.describe(images[:0]).shape == (0, 1, VALUES) and seen.poses(images[:0]).shape[:2] == (0, 4)


def test_distance_is_that_of_the_cosine_and_a_copy_is_at_zero() -> None:
    images, seen = films(6, (40, 36)), detector()
    rows = seen.describe(images)[:, 0].astype(np.float64)
    assert np.mean(rows**2, axis=1) == pytest.approx(1, abs=1e-5)
    cosine = rows @ rows.T / VALUES
    apart = np.sqrt(np.square(rows[:, None] - rows[None]).mean(-1))
    assert np.allclose(apart, np.sqrt(np.clip(2 - 2 * cosine, 0, None)), atol=1e-3)
    copies = np.stack([images[2], mirror(images[4]), invert(images[1])])
    found = nearest(seen.poses(copies), ArrayBlocks(seen.describe(images)), 3, reference_group=np.arange(6))
    assert found.index[:, 0].tolist() == [2, 4, 1]
    assert found.distance[0, 0] == 0 and found.distance[1, 0] < 1e-3 and found.distance[2, 0] < 1e-2


def test_brightness_and_contrast_drop_out() -> None:
    images, seen = films(4, (32, 32)), detector()
    apart = seen.describe(0.2 + 0.5 * images) - seen.describe(images)
    assert np.abs(apart).max() < 1e-2


def test_contrast_is_the_plain_one_where_nothing_is_flat() -> None:
    random = np.random.Generator(np.random.Philox(2))
    image = (0.5 + 0.1 * random.standard_normal((1, 24, 30))).astype(np.float32)
    planes = local_contrast(torch.from_numpy(image)[:, None], 5)
    assert planes.shape == (1, 3, 24, 30)
    plain = local_contrast_normalise(image, 5)
    assert np.allclose(planes[0, 0, 3:-3, 3:-3].numpy(), plain[0, 3:-3, 3:-3], atol=1e-3)
    assert bool((planes[:, 2] == 1).all())


def test_a_flat_box_leaves_the_rest_as_it_was() -> None:
    random = np.random.Generator(np.random.Philox(3))
    image = torch.from_numpy((0.5 + 0.1 * random.standard_normal((1, 1, 40, 40))).astype(np.float32))
    boxed = image.clone()
    boxed[..., 10:20, 8:30] = 1.0
    before, after = local_contrast(image, 9), local_contrast(boxed, 9)
    inside = torch.zeros(40, 40, dtype=torch.bool)
    inside[10:20, 8:30] = True
    assert bool((after[0, :, inside] == 0).all()) and bool((after[0, 2, ~inside] == 1).all())
    # beside the box the averages run over fewer pixels; no edge of the box remains
    assert float((after - before)[0, 0, ~inside].abs().mean()) < 0.1
    assert float(after[0, 0, ~inside].abs().max()) <= float(before[0, 0].abs().max()) + 1.5


def test_films_of_any_size_are_squared() -> None:
    assert to_square(films(2, (70, 50)), 32).shape == (2, 1, 32, 32)
    small = to_square(films(2, (20, 17)), 32)
    assert small.shape == (2, 1, 32, 32) and float(small.min()) >= 0 and float(small.max()) <= 1
    flat = np.full((2, 20, 17), 0.3, dtype=np.float32)
    assert np.isfinite(detector().describe(flat)).all()


def test_weights_follow_from_the_seed() -> None:
    one, two, other = (build_encoder(describe_encoder(SETTINGS), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])
    count = sum(p.numel() for p in build_encoder(describe_encoder(CopyNetSettings())).parameters())
    assert 300_000 < count < 1_700_000
