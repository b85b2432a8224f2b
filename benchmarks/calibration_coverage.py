"""Copies in simulated audits: false discoveries, and whether intervals and bounds hold the truth. For `calibration.py`.

The truth of an audit is known: every training film's mild copy is judged, so the power over all of T is exact, and
a model that copies at a chosen rate is drawn from that. Axes: n training films, A audits.
"""

import numpy as np
from calibration_audits import BUDGET, IMAGES, SETTINGS, Audit, release
from calibration_films import AS_THEY_ARE, BLURRED, MILD, NOISY
from calibration_tables import Row, coverage_row, mean_row, share_row

from medaudit.protocol.closeness import DETECTOR as COHORT_DETECTOR
from medaudit.stats.bounds import chao1, good_turing, hidden_copies, model_rate_upper, zero_found_upper
from medaudit.stats.cohort_test import excess_copy_rate
from medaudit.stats.controls import power
from medaudit.stats.matching import excess_line, plant_rows, union
from medaudit.stats.reference import draw_one_per_patient

COPIES = 45  # of IMAGES, in the block of false discoveries
WIDE_Q = 0.1  # a second q, that a few hundred audits can resolve
RATES = (0.02, 0.03, 0.05)  # of copies that a model makes
HIDDEN = (1, 2, 5)  # copied films in a release
SOURCES = (1, 3)  # films that a narrow model copies
SHARES = (0.0, 0.1, 0.5)  # of copies, for the excess copy rate
REPLICATES = 500  # of the bootstrap of the excess copy rate
CONFIDENCE = 1 - SETTINGS.alpha
Answers = dict[str, list[float]]


def false_discoveries(audit: Audit, rng: np.random.Generator) -> dict[str, float]:
    """Share of clean images among those that Benjamini-Hochberg flags; COPIES mild copies of different people."""
    answers = {}
    for kind in (AS_THEY_ARE, BLURRED):
        copies = rng.permutation(audit.own)[:COPIES]
        clean = release(audit.films, audit.roles, kind, rng)[: IMAGES - COPIES]
        judged = [judged for _, judged in audit.ask([(MILD, copies), (kind, clean)])]
        for name, q in (("shipped q", BUDGET.fdr_each), ("wide q", WIDE_Q / BUDGET.detectors)):
            flagged = union([one.q <= q for one in judged])
            answers[f"{kind}, {name}"] = float(flagged[COPIES:].sum() / max(1, flagged.sum()))
            answers[f"found: {kind}, {name}"] = float(flagged[:COPIES].mean())
    return answers


def coverage(audit: Audit, rng: np.random.Generator) -> dict[str, float]:
    """1 where an interval held the truth, or where a bound was wrong; see `rows`."""
    seen = {kind: union(audit.lone(kind, audit.roles.train)) for kind in (MILD, NOISY)}
    answers: dict[str, float] = {}
    limits = {}
    for kind, found in seen.items():
        planted = plant_rows(audit.groups, np.zeros(0, dtype=np.int64), SETTINGS.plants, rng)
        rate = power(found[planted], CONFIDENCE)
        limits[kind] = rate.low
        by_person = np.bincount(audit.groups, weights=found) / np.bincount(audit.groups)
        for truth, name in ((found.mean(), "over films"), (by_person.mean(), "over people")):
            answers[f"power of {kind}, {name}"] = rate.low <= truth <= rate.high
    for kind, found in seen.items():
        answers |= _rate_bounds(kind, found, limits[kind], rng)
        answers |= _hidden(kind, found, limits[kind], rng)
    return answers | _excess_rate(audit, rng)


def _rate_bounds(kind: str, found: np.ndarray, low: float, rng: np.random.Generator) -> dict[str, float]:
    """Nothing found among IMAGES of a model that copies all films, or only a few, and the bound under the truth."""
    answers = {}
    many = model_rate_upper(IMAGES, low, SETTINGS.alpha)
    for rate in RATES:
        hits = found[rng.integers(0, len(found), rng.binomial(IMAGES, rate))]
        answers[f"{kind}, rate {rate}"] = not hits.any() and many is not None and many < rate
    for sources in SOURCES:
        films = found[rng.integers(0, len(found), sources)]
        bound = model_rate_upper(IMAGES, low, SETTINGS.alpha, sources)
        unseen = not films[rng.integers(0, sources, rng.binomial(IMAGES, 0.2))].any()
        answers[f"{kind}, {sources} copied"] = unseen and bound is not None and bound < 0.2
        if sources == 1:
            answers[f"one copied: {kind}"] = unseen and many is not None and many < 0.2
    return answers


def _hidden(kind: str, found: np.ndarray, low: float, rng: np.random.Generator) -> dict[str, float]:
    """All copies of K different films missed, though K was said to be too many; and 20 copies of one film."""
    limit = hidden_copies(low, SETTINGS.alpha)
    answers = {}
    for copies in HIDDEN:
        missed = not found[rng.permutation(len(found))[:copies]].any()
        answers[f"{kind}, {copies} hidden"] = missed and limit is not None and limit < copies
    missed = not found[rng.integers(len(found))]
    answers[f"one hidden: {kind}"] = missed and limit is not None and limit < 20
    return answers


def _excess_rate(audit: Audit, rng: np.random.Generator) -> dict[str, float]:
    """Whether the interval of R holds the truth; truth: all people and all copies, at this audit's line."""
    name = COHORT_DETECTOR.name
    bench = next(bench for bench in audit.benches if bench.detector is COHORT_DETECTOR)
    line = excess_line(bench.people.score)
    everyone = draw_one_per_patient(audit.films.patient, rng)
    unseen = audit.people(name, everyone).score > line
    beside = everyone[np.isin(audit.films.patient[everyone], audit.roles.rest)]
    clean, copied = audit.people(name, beside), audit.search(MILD, name, audit.own)
    truth_holdout = float(unseen.mean())
    answers = {}
    for share in SHARES:
        number = rng.binomial(IMAGES, share)
        a, b = rng.integers(0, len(copied.row), number), rng.integers(0, len(beside), IMAGES - number)
        interval = excess_copy_rate(
            np.r_[copied.score[a], clean.score[b]] > line,
            audit.groups[np.r_[copied.row[a], clean.row[b]]],
            bench.people.score > line,
            replicates=REPLICATES,
            rng=rng,
        )
        made = share * (copied.score > line).mean() + (1 - share) * (clean.score > line).mean()
        truth = max(0.0, (made - truth_holdout) / (1 - truth_holdout))
        answers[f"copies {share:.0%}"] = interval is not None and interval.low <= truth <= interval.high
    return answers


def discovery_rows(cell: str, answers: Answers, rng: np.random.Generator) -> list[Row]:
    """Mean false discovery proportion beside q; where the clean part breaks the assumption nothing is promised."""
    rows = []
    for kind in (AS_THEY_ARE, BLURRED):
        for name, q in (("shipped q", BUDGET.fdr_each * BUDGET.detectors), ("wide q", WIDE_Q)):
            values = np.array(answers[f"{kind}, {name}"])
            found = np.mean(answers[f"found: {kind}, {name}"])
            label = f"{cell}, clean part {kind}, {name} (finds {found:.0%} of copies)"
            rows.append(mean_row(label, q, values, rng))
    return rows


def coverage_rows(cell: str, answers: Answers) -> dict[str, list[Row]]:
    """Blocks of rows: intervals that hold the truth, and bounds that are wrong.

    Power is promised over patients; over films those of patients with many count more, and nothing is promised.
    """
    held = [
        coverage_row(f"{cell}, {name}", CONFIDENCE, np.array(answers[name]), promised=name.endswith("people"))
        for name in answers
        if name.startswith("power of")
    ]
    excess = [
        coverage_row(f"{cell}, {name}", 0.95, np.array(answers[name]))
        for name in answers
        if name.startswith("copies ")
    ]
    bounds = [
        share_row(f"{cell}, {name}", SETTINGS.alpha, np.array(answers[name]), promised=True)
        for name in answers
        if name.startswith((f"{MILD}, ", f"{NOISY}, "))
    ]
    beyond = [
        share_row(f"{cell}, {name}", SETTINGS.alpha, np.array(answers[name]), promised=False)
        for name in answers
        if name.startswith("one ")
    ]
    return {
        "power interval (Clopper-Pearson) holds the power over all of T": held,
        "interval of the excess copy rate R holds the truth": excess,
        "bounds when nothing was found are wrong (rate; films hidden)": bounds,
        "the same for one film copied over and over, with bounds that take misses as independent": beyond,
    }


def counting_rows(audits: int, rng: np.random.Generator) -> list[Row]:
    """Bounds that need no film: nothing in n trials, Good-Turing and Chao1 on patients copied unequally often."""
    rows = []
    for n in (IMAGES, 1000):
        upper = zero_found_upper(n, SETTINGS.alpha)
        wrong = rng.binomial(n, upper * (1 + 1e-9), 20 * audits) == 0
        rows.append(
            share_row(f"nothing in {n}, rate just above the bound", SETTINGS.alpha, wrong, promised=True)
        )
    chance = np.r_[rng.dirichlet(np.full(200, 0.5)) * 0.3, 0.7]  # of each patient, and of copying nobody
    counts = rng.multinomial(2000, chance, size=audits)[:, :-1]
    new = np.array([chance[:-1][row == 0].sum() for row in counts])
    said = np.array([good_turing(row, 2000) for row in counts])
    rows.append(
        mean_row(
            "Good-Turing less the truth, in units of the truth",
            0.0,
            (said - new) / new.mean(),
            rng,
            both=True,
        )
    )
    total = np.array([chao1(row) for row in counts])
    rows.append(mean_row("Chao1 over the true total (at most 1)", 1.0, total / 200, rng))
    return rows
