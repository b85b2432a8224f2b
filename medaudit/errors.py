"""The errors that medaudit raises on purpose: nouns, one line each, which say what is wrong and what to do.

A message names no patient, no tag value and no path but those the user typed. Everything else that is raised
is a defect of medaudit and is reported as such by the command line.
"""

from collections.abc import Sequence


class MedauditError(Exception):
    """A failure the user can mend; `exit_code` is what the process ends with.

    `keeps_draft`: the same command, called again, goes on from what it wrote. `listed`: lines for the user's own
    screen, which may name files of the source; they are no part of the message.
    """

    exit_code = 1
    keeps_draft = False

    def __init__(self, *message: object, listed: Sequence[str] = ()) -> None:
        super().__init__(*message)
        self.listed = tuple(listed)


class UsageProblem(MedauditError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class ConfigProblem(UsageProblem):
    """A config file has an unknown key or a value out of range."""


class TermUnknown(UsageProblem):
    """The word to be explained is no term of the reports."""


class DeviceUnavailable(UsageProblem):
    """The device asked for is not on this machine."""


class MemoryTooSmall(UsageProblem):
    """The memory allowed does not hold what is looked at together."""


class EngineUnavailable(UsageProblem):
    """The machines that were to search are not there, or what is needed to reach them is not installed."""


class ClusterLost(MedauditError):
    """The machines that searched were lost, or one of them cannot do its part; the draft stays for the next call."""

    keeps_draft = True


class OutputExists(UsageProblem):
    """The output folder is taken by something this command did not make."""

    keeps_draft = True


class SourceMissing(UsageProblem):
    """The path to read does not exist or may not be read."""


class LayoutUnknown(UsageProblem):
    """No known folder layout fits the source."""


class ImagesLeft(UsageProblem):
    """The layout covers only a part of the images of the source."""


class NothingReadable(UsageProblem):
    """Every file of a source was refused."""


class TooManyRefused(UsageProblem):
    """So many images of a source were refused that the user has to accept it; the draft stays for the next call."""

    keeps_draft = True


class EmptyCohort(MedauditError):
    """A cohort has no usable row."""


class ArtifactBroken(MedauditError):
    """An artifact is not whole: a file is missing or was changed since it was written."""


class FindingsContradict(ArtifactBroken):
    """Findings do not agree with themselves: a verdict, count or flag is not what the tables give."""


class FindingsNotAuthentic(ArtifactBroken):
    """Findings or a review do not carry the code that the site's key gives them."""


class ArtifactKindMismatch(UsageProblem):
    """The folder is an artifact of another kind than the command needs, or none at all."""


class CohortMismatch(MedauditError):
    """Two artifacts do not belong together: other sizes, other parents, swapped roles."""


class PatientInBothSplits(MedauditError):
    """A patient has images among the training and among the held-out cohort."""


class ReferenceTooSmall(MedauditError):
    """There are too few people to compare with."""


class ModelUnsafe(MedauditError):
    """A model folder holds a file that would run code when loaded."""


class ModelUnreadable(MedauditError):
    """A model folder lacks what is needed to run it."""


class TrainingDiverged(MedauditError):
    """The training loss stopped being a number."""


class NotReleasable(MedauditError):
    """The audit does not allow what was asked to be released."""

    exit_code = 10


class ReviewMismatch(MedauditError):
    """Verdicts do not belong to the page, are not whole, or a review to another audit."""


class ReleaseBroken(MedauditError):
    """A released folder does not match its manifest."""


class SignatureWrong(ReleaseBroken):
    """A release is not signed by the key that it should be signed by, or not signed at all."""


class CertificateExpired(ReleaseBroken):
    """The day up to which a certificate vouches for its release has passed."""


class KeyProblem(UsageProblem):
    """A signing key cannot be used: no key, the wrong one, open to others, or under another passphrase."""


class StorageFull(MedauditError):
    """The disk has no room for the output."""

    keeps_draft = True


class SystemRefused(MedauditError):
    """The operating system would not read or write a file, for a reason of its own."""


class ReportLeak(MedauditError):
    """A report would have given away something it must not hold."""


class EncoderProblem(MedauditError):
    """An encoder's file is none, does not fit together, or belongs to another cohort."""


class IndexMismatch(UsageProblem):
    """A saved index belongs to another cohort, detector or version, or is not whole."""


class EmbeddingsMismatch(MedauditError):
    """Saved embeddings are not whole, or were made by another encoder or from other cohorts."""


class LedgerUnreadable(UsageProblem):
    """The file is no ledger of medaudit's, or may not be read or written."""


class LedgerTooNew(UsageProblem):
    """The ledger was written by a later version of medaudit."""


class LedgerBroken(MedauditError):
    """A row of the ledger was changed or removed, or the kept head is not in its chain."""
