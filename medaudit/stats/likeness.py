"""Are the synthetic images as near to people as people are? The assumption under every p-value, looked at.

A conformal p-value is right when an image that copies nobody is as close to T as a new patient would be. A generator
that smooths, for example, breaks this: its images lose detail that no film shares, come nearer to everybody, and get
p-values that are too small without any copying. Nobody in H was trained on, so nearness to H shows it: S and unseen
people are compared with H in the same way as with T.

Axes: N synthetic images, R unseen people. A larger score is more copy-like; +inf is an exact copy.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from medaudit.stats.reference import checked_scores

DOUBTFUL = 0.01  # p-value at which images are said to be unlike people; each side of both
TOP_SHARE = 0.1  # of all, images and people together, that count as near


@dataclass(frozen=True)
class Likeness:
    """`count` of `of` images are among the nearest to unseen people, where `expected` would be if they were people.

    p_nearer and p_farther: chance of a count at least as large, or at most as large, if images are like people. A
    small p_nearer: p-values and numbers of suspects overstate; a small p_farther: a copy made by this generator may
    be harder to see than a planted one.
    """

    count: int
    of: int
    expected: float
    p_nearer: float
    p_farther: float


def likeness_sentences(found: Likeness | None) -> list[str]:
    """What a reader must know when images are not like people; nothing when they are."""
    if found is None or min(found.p_nearer, found.p_farther) > DOUBTFUL:
        return []
    counted = (
        f"{found.count:,} of {found.of:,} are among the nearest tenth, where {found.expected:,.0f} would be"
    )
    if found.p_nearer <= DOUBTFUL:
        return [
            f"The images lie nearer to the held-out patients than people do ({counted} by chance), so they are not "
            "like new people in every respect: p-values and suspects overstate, without any copying."
        ]
    return [
        f"The images lie farther from the held-out patients than people do ({counted} by chance): they look unlike "
        "the films, so a copy that this model makes may be harder to find than a planted one."
    ]


def likeness(generated: np.ndarray, people: np.ndarray) -> Likeness:
    """(N,) scores of S against H, (R,) scores of unseen people against H → how alike they are in the upper tail.

    People: training patients against all of H, and held-out patients against H without themselves, one score each. If
    images are exchangeable with people, those in the top TOP_SHARE of both together are a draw without replacement:
    the count is hypergeometric, whatever the scores. Fisher 1935 (the exact test of a two-by-two table). Ties with
    the line are not in the top. Images that repeat each other make both p-values too small.
    """
    generated, people = checked_scores(generated, "scores"), checked_scores(people, "people")
    pooled = np.concatenate([generated, people])
    line = np.sort(pooled)[-max(1, round(TOP_SHARE * pooled.size)) - 1]
    count, top = int(np.count_nonzero(generated > line)), int(np.count_nonzero(pooled > line))
    law = stats.hypergeom(pooled.size, top, generated.size)
    return Likeness(
        count,
        int(generated.size),
        top * generated.size / pooled.size,
        float(min(1.0, law.sf(count - 1))),
        float(min(1.0, law.cdf(count))),
    )
