"""What the copy network is taught: an edited view must lie nearer to its own film than to any other patient's.

Axes: B films of the batch, V views of each, D values.
"""

import torch
from torch import Tensor

from medaudit.detectors.copynet.edits import Edited


def contrastive_loss(
    views: Tensor, films: Tensor, patient: Tensor, edited: Edited, temperature: float
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018, eq. 4) with a soft answer where a view was mixed of two films.

    `views` (V B, D) are edited views of the films in their order, V times over; `films` (B, D) the films as they
    are. Films of the same patient, and of the partner's patient, never stand as wrong answers. Returns the mean loss
    of the views, a scalar.
    """
    allowed = candidates(edited, patient)
    likeness = (views @ films.T / temperature).masked_fill(~allowed, -torch.inf)  # (V B, B)
    chance = torch.log_softmax(likeness, dim=1).masked_fill(~allowed, 0.0)
    return -(targets(edited, len(films)) * chance).sum(dim=1).mean()


def targets(edited: Edited, films: int) -> Tensor:
    """(V B, B) float32: the share of each film in each view; rows sum to 1."""
    count = len(edited.share)
    line = torch.arange(count, device=edited.share.device)
    right = torch.zeros(count, films, device=edited.share.device)
    right[line, line % films] += edited.share
    right[line, edited.partner] += 1 - edited.share
    return right


def candidates(edited: Edited, patient: Tensor) -> Tensor:
    """(V B, B) bool: the answers a view may choose from: its own film, its partner, and other patients' films."""
    films, count = len(patient), len(edited.share)
    line = torch.arange(count, device=patient.device)
    own, other = patient[line % films], patient[edited.partner]
    mixed = edited.share < 1
    allowed = patient[None, :] != own[:, None]
    allowed &= ~mixed[:, None] | (patient[None, :] != other[:, None])
    allowed[line, line % films] = True
    allowed[line[mixed], edited.partner[mixed]] = True
    return allowed
