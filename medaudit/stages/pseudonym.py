"""medaudit ledger pseudonym: from the hospital's own patient number to the pseudonym of cohorts, ledger and reports.

The number is read from a stream, never from the command line, which other people and the shell's history see; it goes
into no line, no file and no message.
"""

from collections.abc import Callable
from pathlib import Path

from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.pseudonyms import key_fingerprint, load_key, pseudonym
from medaudit.errors import UsageProblem
from medaudit.readers.records import patient_id
from medaudit.stages.outcome import Outcome

_LONGEST = 1024  # characters of a number
_BLANK = " \0\t\r\n\ufeff"  # what `ingest` leaves away at both ends, and what editors put there
Ask = Callable[[], str]


def run(key: Path, ask: Ask) -> Outcome:
    """The pseudonym of one patient's number under the site's key. Raises UsageProblem."""
    secret = load_key(key)
    name = pseudonym(secret, one_number(ask))
    return Outcome((name,), {"pseudonym": name, "key": key_fingerprint(secret)})


def of_ledger(path: Path, key: Path, ask: Ask) -> str:
    """The same, once the key is seen to be one that the ledger's cohorts were ingested with. Raises UsageProblem."""
    secret = load_key(key)
    with Ledger(path, write=False) as ledger:
        known = {event.body["key"] for event in ledger.check() if event.kind == "cohort"} - {None}
    if known and key_fingerprint(secret) not in known:
        raise UsageProblem(
            f"{key} is another key than that of the cohorts in {path}, and finds no patient of theirs; give the key "
            "that `ingest` used"
        )
    return pseudonym(secret, one_number(ask))


def one_number(ask: Ask) -> str:
    """The one number that is given, as `ingest` reads it. Raises UsageProblem for none and for several."""
    lines = [line.strip(_BLANK) for line in ask().splitlines()]
    numbers = [line for line in lines if line]
    if len(numbers) != 1:
        found = "no number" if not numbers else f"{len(numbers)} lines"
        raise UsageProblem(
            f"{found} given; give one patient's number, as it stands in the source, and nothing else"
        )
    if len(numbers[0]) > _LONGEST or not numbers[0].isprintable():
        raise UsageProblem("what was given is no patient's number; give it as it stands in the source")
    number = patient_id(numbers[0])
    if number is None:
        raise UsageProblem("what was given stands for no patient; give one patient's number")
    return number
