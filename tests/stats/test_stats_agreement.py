"""Agreement of detectors: against a twin that counts image by image, and its words. Axes: N = 13 images, E = 4."""

import numpy as np
import pytest

from medaudit.stats.agreement import agreement, agreement_sentence

NAMES = ("rmse", "tile", "structure", "copynet")


def drawn(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.Generator(np.random.Philox(seed))
    return [rng.random(13) < 0.4 for _ in NAMES], [rng.integers(0, 3, 13) for _ in NAMES]


def test_counts_are_those_of_a_twin() -> None:
    disagreed = 0
    for seed in range(5):
        flags, named = drawn(seed)
        found = agreement(flags, named)
        several = one = 0
        numbers = [0, 0, 0, 0]
        alone = [0, 0, 0, 0]
        both = [[0] * 4 for _ in NAMES]
        for image in range(13):
            by = [e for e in range(4) if flags[e][image]]
            assert found.detectors[image] == len(by)
            for a in by:
                for b in by:
                    both[a][b] += 1
            if by:
                numbers[len(by) - 1] += 1
            if len(by) == 1:
                alone[by[0]] += 1
            if len(by) >= 2:
                several += 1
                one += len({int(named[e][image]) for e in by}) == 1
        assert found.both.tolist() == both
        assert found.alone.tolist() == alone and found.by_number.tolist() == numbers
        assert (found.several, found.one_patient) == (several, one)
        disagreed += several - one
    assert disagreed > 0


def test_words() -> None:
    flags = np.zeros((4, 13), dtype=bool)
    named = np.zeros((4, 13), dtype=np.int64)

    def said() -> str:
        return agreement_sentence(agreement(list(flags), list(named)), NAMES)

    assert said() == ""
    flags[0, 2] = True
    assert said() == "The flagged image was flagged by 1 of 4 detectors; by one alone: rmse 1."
    flags[3, 2] = True
    assert said() == "The flagged image was flagged by 2 of 4 detectors; they name the same patient."
    named[3, 2] = 5
    assert said() == "The flagged image was flagged by 2 of 4 detectors; they do not name the same patient."
    flags[3, 7] = flags[1, 9] = flags[2, 9] = True
    assert said() == (
        "Of 3 flagged images 2 were flagged by two or more of 4 detectors; in 1 of these they name the same patient; "
        "by one alone: copynet 1."
    )


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="each detector"):
        agreement([np.zeros(3, dtype=bool)], [np.zeros(4, dtype=np.int64)])
    with pytest.raises(ValueError, match="each detector"):
        agreement([np.zeros(3)], [np.zeros(3, dtype=np.int64)])
