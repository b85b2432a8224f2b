"""The copy network of an audit: by path, trained on the way, or trained and kept for the next audit."""

from dataclasses import dataclass
from pathlib import Path

from medaudit.artifacts.store import Artifact, Draft, Request, finished
from medaudit.config import CopyNetSettings
from medaudit.detectors import DETECTORS, AnyDetector
from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.detectors.copynet.opening import EMBEDDINGS, open_encoder, save_embeddings
from medaudit.detectors.copynet.weights import load_copynet, save_copynet
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.progress import Progress
from medaudit.protocol.described import Machine
from medaudit.protocol.learnt import fit, trained_on
from medaudit.protocol.sides import Side

TRAIN = "train"  # instead of a path


@dataclass(frozen=True)
class CopyNetwork:
    """What `--copy-network` asks for: nothing, an encoder that stands already, or one that the audit trains."""

    asked: str | None
    encoder: EncoderDetector | None
    settings: CopyNetSettings
    seed: int

    @classmethod
    def of(
        cls, asked: str | None, keep: Path | None, train: Side, settings: CopyNetSettings, seed: int, device: str,
        progress: Progress,
    ) -> "CopyNetwork":  # fmt: skip
        """Open the encoder, or train and keep it; without `keep` the training waits for the audit.

        Raises UsageProblem for `keep` without training, and what `open_encoder` and `fit` raise.
        """
        if keep is not None and asked != TRAIN:
            raise UsageProblem("--keep-encoder keeps what is trained; give it with --copy-network train")
        encoder = None
        if keep is not None:
            encoder = _kept(keep, train, settings, seed, device, progress)
        elif asked not in (None, TRAIN):
            encoder = open_encoder(Path(str(asked)), train.cohort.id, device)
        return cls(asked, encoder, settings, seed)

    @property
    def id(self) -> str | None:
        """What a request says of it: the encoder's id, `train`, or None."""
        return self.asked if self.encoder is None else self.encoder.id

    def detectors(self, train: Side, machine: Machine) -> tuple[AnyDetector, ...]:
        """The usual detectors and, where one was asked for, the copy network."""
        if self.asked is None:
            return DETECTORS
        return (*DETECTORS, self.encoder or trained_on(train, self.settings, self.seed, machine))


def _kept(
    keep: Path, train: Side, settings: CopyNetSettings, seed: int, device: str, progress: Progress
) -> EncoderDetector:
    """The network as an artifact of its own: its training goes on after a kill and is not repeated."""
    body = {"command": "audit --keep-encoder", **settings.model_dump(mode="json")}
    request = Request("encoder", body, seed, {"train": train.cohort.id})
    if finished(keep, request) is None:
        with Draft(keep, request) as draft:
            trained = fit(train, settings, seed, device, draft.scratch("checkpoint"), progress)
            save_copynet(draft.path, trained, settings, seed, train.cohort.id)
            detector = load_copynet(draft.path, device=device)
            made = draft.scratch(EMBEDDINGS)  # written there: its lock is no part of the artifact
            save_embeddings(made, detector, train.cohort.id, train.images, len(train))
            made.replace(draft.file(EMBEDDINGS))
            draft.commit()
    return open_encoder(keep, train.cohort.id, device)


def network_again(first: Artifact, given: str | None) -> str | None:
    """What `--copy-network` must be for a second look at what this audit looked at first.

    Raises UsageProblem where the first look's encoder lies elsewhere and was not given, CohortMismatch for another.
    """
    used: str | None = first.settings.get("copy_network")
    if used in (None, TRAIN):
        if given not in (None, used):
            raise CohortMismatch("the audit used no encoder by path; leave --copy-network out")
        return used
    if given in (None, TRAIN):
        raise UsageProblem("the audit used an encoder by path; give the same with --copy-network")
    assert given is not None
    if open_encoder(Path(given), first.lineage["train"]).id != used:
        raise CohortMismatch(f"{given} is not the encoder that the audit used; give the same again")
    return given
