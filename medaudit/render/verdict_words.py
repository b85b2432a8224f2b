"""The three verdicts as a page names them."""

from medaudit.artifacts.records import Verdict

LABELS: dict[Verdict, str] = {
    "release-supported": "Release supported",
    "do-not-release": "Do not release",
    "inconclusive": "Inconclusive",
}
