"""The copy network trained during an audit, on the training cohort that the audit is about.

Its weights live in the audit's scratch and go with it: findings must not hold what was learnt from patients.
"""

from pathlib import Path

from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.training import TrainedCopyNet, train_copynet
from medaudit.detectors.copynet.weights import RECORD, load_copynet, save_copynet
from medaudit.devices import pick_device
from medaudit.errors import ReferenceTooSmall
from medaudit.progress import Progress
from medaudit.protocol.described import Machine
from medaudit.protocol.sides import Side


def fit(
    train: Side, settings: CopyNetSettings, seed: int, device: str, checkpoint: Path, progress: Progress
) -> TrainedCopyNet:
    """Train on all of T's films, going on from the checkpoint. Raises ReferenceTooSmall for a single patient."""
    if train.people < 2:
        raise ReferenceTooSmall(
            "the copy network learns to tell training patients apart and T has one; leave --copy-network out"
        )
    return train_copynet(
        train.images, train.groups, settings, seed, pick_device(device), checkpoint, progress
    )


def trained_on(train: Side, settings: CopyNetSettings, seed: int, machine: Machine) -> CopyNet:
    """The network of this audit; a killed audit goes on with the training, or with the whole network."""
    folder = machine.scratch("encoder")
    if not (folder / RECORD).is_file():
        trained = fit(
            train, settings, seed, machine.device, machine.scratch("encoder.checkpoint"), machine.progress
        )
        folder.mkdir(mode=0o700, exist_ok=True)
        save_copynet(folder, trained, settings, seed, train.cohort.id)
    return load_copynet(folder, train.cohort.id, machine.device)
