"""What a step says, as a code; and which two of them no advice may hold at once. Axes: none."""

from dataclasses import dataclass
from enum import StrEnum, auto


class Code(StrEnum):
    """What a step says."""

    WITHHOLD = auto()
    ENOUGH = auto()  # withholding the flagged images is
    NOT_ENOUGH = auto()
    WHY_NOT = auto()  # the first doubt of the audit of the rest
    NOTHING_LEFT = auto()
    WITHHELD_ONCE = auto()
    TRAIN_WITHOUT = auto()  # the patients whom flagged images show
    TRAIN_LESS = auto()  # so that the model remembers less
    SPLIT_AGAIN = auto()
    DEDUP = auto()
    READ_IDS = auto()
    GIVE_IDS = auto()
    ONE_SOURCE = auto()
    MORE_IMAGES = auto()
    MORE_PEOPLE = auto()  # no hold-out of this size helps
    MORE_HELD_OUT = auto()
    PLANT_MORE = auto()
    SEE_MORE = auto()
    NAME_KINDS = auto()
    LOOK_AT_FALSE_ALARMS = auto()


# Two steps of which one makes the other useless, or says the opposite.
CONTRADICTIONS = frozenset(
    map(
        frozenset,
        [
            *((one, other) for one in (Code.WITHHOLD, Code.ENOUGH)
              for other in (Code.NOT_ENOUGH, Code.WHY_NOT, Code.NOTHING_LEFT, Code.WITHHELD_ONCE, Code.TRAIN_LESS)),
            (Code.NOT_ENOUGH, Code.NOTHING_LEFT),
            (Code.NOT_ENOUGH, Code.WITHHELD_ONCE),
            (Code.NOTHING_LEFT, Code.WITHHELD_ONCE),
            (Code.TRAIN_WITHOUT, Code.TRAIN_LESS),  # the rest is too close without these patients' images too
            (Code.MORE_HELD_OUT, Code.MORE_PEOPLE),
            (Code.MORE_HELD_OUT, Code.MORE_IMAGES),
            (Code.MORE_PEOPLE, Code.MORE_IMAGES),
            (Code.PLANT_MORE, Code.NAME_KINDS),
            (Code.SEE_MORE, Code.NAME_KINDS),
        ],
    )
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step: what it says, as a code, and in a sentence."""

    code: Code
    text: str
