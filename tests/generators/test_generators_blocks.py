"""Lean blocks: diffusers' own bytes, forward and backward, and hands off what they do not understand."""

import copy

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d import UNet2DModel

from medaudit.generators.blocks import LeanBlock, lean
from medaudit.generators.networks import make_unet2d

B, C, Y, X = 3, 4, 6, 10
PLAIN = {
    "in_channels": C,
    "out_channels": C,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 4,
}


def pair(**changes) -> tuple[torch.nn.Module, torch.nn.Module]:
    """diffusers' network and the same one with lean blocks."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        theirs = UNet2DModel(**PLAIN | changes)
    ours = copy.deepcopy(theirs)
    assert lean(ours) == sum(isinstance(module, ResnetBlock2D) for module in theirs.modules()) > 6
    return theirs, ours


def ask(network: torch.nn.Module) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    x = torch.randn(B, C, Y, X, generator=random)
    with torch.random.fork_rng():
        torch.manual_seed(2)  # of dropout
        return network(x, torch.tensor([0.3, 5.0, 90.0]), return_dict=False)[0]


@pytest.mark.parametrize("norm", ["default", "scale_shift"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_same_bytes_forward_and_backward(norm, dropout, layout):
    theirs, ours = (
        network.to(memory_format=layout) for network in pair(resnet_time_scale_shift=norm, dropout=dropout)
    )
    outs = []
    for network in (theirs, ours):
        with torch.no_grad():
            outs.append(ask(network.eval()))
        out = ask(network.train())
        out.square().sum().backward()
        outs.append(out.detach())
    assert torch.equal(outs[0], outs[2]) and torch.equal(outs[1], outs[3])
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if "conv_shortcut" in name and layout == torch.contiguous_format:  # theirs reads a copy laid out anew
            assert torch.allclose(mine.grad, other.grad, rtol=1e-5, atol=1e-6 * float(other.grad.abs().max()))
        else:
            assert torch.equal(mine.grad, other.grad)


def test_what_goes_in_is_not_written_over():
    block = next(module for module in pair()[1].modules() if isinstance(module, LeanBlock))
    x, embedded = torch.randn(B, 8, Y, X), torch.randn(B, 32)
    before = x.clone(), embedded.clone()
    with torch.no_grad():
        block(x, embedded)
    assert torch.equal(x, before[0]) and torch.equal(embedded, before[1])


@pytest.mark.parametrize("changes", [{"mid_block_scale_factor": 2.0}, {"act_fn": "gelu"}])
def test_blocks_of_another_kind_stay(changes):
    network = UNet2DModel(**PLAIN | changes)
    blocks = [module for module in network.modules() if isinstance(module, ResnetBlock2D)]
    turned = lean(network)
    assert turned < len(blocks)
    assert turned == sum(isinstance(module, LeanBlock) for module in network.modules())


def test_every_network_is_made_so():
    assert any(isinstance(module, LeanBlock) for module in make_unet2d(PLAIN).modules())
