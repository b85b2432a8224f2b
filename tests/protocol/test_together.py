"""An audit together with what is out already: its words count the new images alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medaudit.artifacts.second_looks import Remainder
from medaudit.protocol.together import Earlier, Share, _new_alone
from medaudit.stats.next_steps import NOTHING_LEFT, Rest, remainder_wording


def remainder(synthetic: int) -> tuple[Any, Remainder]:
    rest = Rest("release-supported", ("none was found",), synthetic, 0, False, 0.025)
    wording = remainder_wording(3, rest)
    found = Remainder(
        verdict="release-supported", reasons=["none was found"], withheld=3, synthetic=synthetic, distinct=synthetic,
        flagged=0, suspects=0, cohort_rejects=False, excess_p=0.5, run_p=0.5, minimum_power=0.95, hidden_copies=1,
        alpha=0.025, enough=True, wording=wording,
    )  # fmt: skip
    steps = ["Withhold the 3 flagged images: they are marked.", wording, "Train again."]
    return SimpleNamespace(next_steps=steps), found


def test_the_rest_is_of_the_new_images() -> None:
    changes = _new_alone(*remainder(31), 24)
    assert changes["remainder"].synthetic == 7 and changes["remainder"].released_before == 24
    assert "the remaining 7 images, with the 24 that are out already, pass" in changes["next_steps"][1]
    assert changes["next_steps"][1] == changes["remainder"].wording


def test_where_every_new_image_is_flagged_nothing_remains_however_many_are_out() -> None:
    changes = _new_alone(*remainder(24), 24)
    assert changes == {"remainder": None, "next_steps": [NOTHING_LEFT, "Train again."]}


@pytest.mark.parametrize("size", [4, 11])
def test_cleared_pairs_and_flags_are_told_by_the_rows_of_their_own_cohort(size: int) -> None:
    """Rows 1, 3, 4 of one cohort and 0, 2 of another are out: they follow the rows of S in this order."""

    def cohort(rows: int) -> Any:
        return SimpleNamespace(in_use=np.arange(rows))

    earlier = (
        Earlier("r1", cohort(5), (0, 2), ((3, 70), (2, 71))),  # row 2 never went out
        Earlier("r2", cohort(3), (1,), ((2, 72), (0, 73))),
    )
    share = Share(2, 0.05, 0.01, earlier)
    assert share.cleared(size) == {(size + 1, 70), (size + 4, 72), (size + 3, 73)}
    flagged = np.array([(size, 9), (size + 1, 70), (size + 2, 8), (size + 3, 7), (size + 4, 6)])
    assert share._by_release(flagged, size) == [[(1, 9), (3, 70), (4, 8)], [(0, 7), (2, 6)]]
    assert Share(1, 0.05, 0.025).cleared(size) == set()
