"""What the appendix says of the generative control, and of controls that were left out."""

from medaudit.render import wording as say
from medaudit.render.document import Block, Facts, Paragraph
from medaudit.render.facts import ControlFacts, GenerativeFacts
from medaudit.render.key_numbers import kind_name, share

_NAMES = {"generative": "copies by an over-trained model"}


def generative(controls: ControlFacts) -> list[Block]:
    """The copies of the over-trained model in full; where there are none, why."""
    made = controls.generative
    if made is None:
        if controls.generative_not_run is None:
            return []
        return [Paragraph(text=f"Copies by an over-trained model: not run; {controls.generative_not_run}.")]
    lead = Paragraph(
        text="Generative control: a small diffusion model was over-trained on a film each of a few training patients, "
        "and what it made was searched for as the synthetic images were. A clear copy is an image at least "
        f"{say.number(1 / made.ratio_line)} times nearer to one of these films than to any other; the other images "
        "count neither as found nor as missed. Copies of one patient resemble each other, so the interval is over "
        "patients."
    )
    return [lead, Facts(items=_items(made))]


def _items(made: GenerativeFacts) -> tuple[tuple[str, str], ...]:
    items = [
        ("Films the model learnt, each of another patient", say.whole(made.films)),
        ("Steps of training", say.whole(made.steps)),
        ("Images it made", say.whole(made.generated)),
        (
            "Clear copies",
            f"{say.whole(made.clear)}, of {say.counted(made.patients, 'patient')}; "
            f"{say.counted(made.generated - made.clear, 'other image')}",
        ),
        ("Distance (RMSE) to the nearest film over the next, median", say.number(made.median_ratio)),
    ]
    if made.median_rmse is not None:
        items.append(("Distance (RMSE) of clear copies to their film, median", say.number(made.median_rmse)))
    if made.learnt_at is not None:
        height, width = made.learnt_at
        items.append(
            ("Learnt at a lower resolution, in pixels", f"{width} x {height}, so its copies are blurred")
        )
    if made.power is None:
        items.append(("Found", "no image was a clear copy, so nothing is known"))
    else:
        items.append(
            ("Found", f"{share(made.power).text}, interval {say.span(made.power.low, made.power.high)}")
        )
    items += [(f"Found by {name} alone", share(rate).text) for name, rate in made.by_detector.items()]
    return tuple(items)


def given_up(controls: ControlFacts) -> list[Block]:
    """What the settings left out to save time."""
    if not controls.given_up:
        return []
    names = ", ".join(_NAMES.get(kind, kind_name(kind)) for kind in controls.given_up)
    return [Paragraph(text=f"Left out to save time (controls: quick): {names}.")]
