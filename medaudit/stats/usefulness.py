"""What the figures of utility mean, in words: whether a set looks like noise, is blurred, repeats itself, or differs.

Nothing here enters a verdict: useless images give nobody away, and useful ones may. Every line asks for the whole
interval to lie beyond it, so that a small set is not called bad by chance.
"""

from medaudit.stats.utility import Figures, Twin

FAR = 0.5  # of the density of real films: below, images do not lie among films
ODD = 0.8  # of it: below, part of them does not
MIDDLE = 2.0  # of it: above, images crowd in the middle, where the average film lies
FEW = 0.5  # of the coverage of real films: below, most kinds of film are missing
NARROW = 0.8  # of it: below, some are
BLURRED = 0.5  # of the fine detail of films
GRAINY = 2.0  # of it
NOISY = 10.0  # of it, where images do not lie among films
BRIGHTER = 0.1  # of the range from black to white
UNBALANCED = 0.1  # of a label's share

_WORDS = {
    "noise": "The images look like noise: they do not lie among real films, and hold {detail} times their fine detail.",
    "unlike": "The images do not look like the films: few lie among them.",
    "partly unlike": "Part of the images does not look like the films: film density is {density}, where real films "
    "reach {real_density}.",
    "blurred": "The images are blurred: they hold {detail} of the fine detail of real films.",
    "grainy": "The images are grainy: they hold {detail} times the fine detail of real films.",
    "collapsed": "The images repeat a few kinds of film: only {coverage} of the unseen films have one like them, where "
    "{real_coverage} would of real ones.",
    "narrow": "Some kinds of film are missing: {coverage} of the unseen films have an image like them, where "
    "{real_coverage} would of real ones.",
    "average": "The images crowd around the average film, and vary less than real ones.",
    "brightness": "The images differ in brightness or contrast: grey values lie {grey} of the range away.",
    "labels": "The labels are out of balance: the share of one differs by {labels}.",
}


def findings(found: Figures) -> tuple[str, ...]:
    """The keys of what is wrong with a set; none for one as good as real films."""
    density, coverage, detail = found.density, found.coverage, found.detail
    far = density.high < FAR * density.real
    grainy, blurred = detail.low > GRAINY * detail.real, detail.high < BLURRED * detail.real
    noise = far and detail.low > NOISY * detail.real
    checks = {
        "noise": noise,
        "unlike": far and not noise,
        "partly unlike": not far and density.high < ODD * density.real,
        "blurred": blurred,
        "grainy": grainy and not noise,
        "collapsed": not far and coverage.high < FEW * coverage.real,
        "narrow": not far and FEW * coverage.real <= coverage.high < NARROW * coverage.real,
        "average": not blurred and density.low > MIDDLE * density.real,
        "brightness": _beyond(found.grey, BRIGHTER),
        "labels": found.labels is not None and _beyond(found.labels, UNBALANCED),
    }
    return tuple(name for name, holds in checks.items() if holds)


def sentences(found: Figures) -> tuple[str, ...]:
    """What is wrong with a set, a sentence each; one that says so when nothing is."""
    filled = {
        "detail": _factor(found.detail.value),
        "coverage": f"{found.coverage.value:.0%}",
        "real_coverage": f"{found.coverage.real:.0%}",
        "density": f"{found.density.value:.2f}",
        "real_density": f"{found.density.real:.2f}",
        "grey": f"{found.grey.value:.0%}",
        "labels": "" if found.labels is None else f"{100 * found.labels.value:.0f} points",
    }
    said = tuple(_WORDS[name].format(**filled) for name in findings(found))
    return said or (
        "In these measures the images are as close to real films as real films are to each other.",
    )


def _beyond(twin: Twin, line: float) -> bool:
    """Whether a distance exceeds both the line and what real films reach."""
    return twin.low > max(line, twin.real_high)


def _factor(value: float) -> str:
    if value >= 1000:
        return "over 1,000"
    if value < 0.01:
        return "under 1%"
    return f"{value:.0%}" if value < 1 else f"{value:.1f}"
