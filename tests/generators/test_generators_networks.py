"""The network: any image size, folded pixels unfolded again, weights from a seed and nothing else."""

import pytest
import torch
from torch import nn

from medaudit.config import NetworkSettings
from medaudit.generators.networks import UnshuffledUNet, build_network, describe_network, unshuffle_factor

TINY = NetworkSettings(unshuffle=2, channels=(8, 16), norm_groups=4)


class Echo(nn.Module):
    """A UNet that gives its input back."""

    class config:
        block_out_channels = (8, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = ()

    def forward(self, x, timestep, class_labels=None, return_dict=False):
        self.shape = tuple(x.shape)
        return (x,)


@pytest.mark.parametrize(("shape", "inner"), [((28, 28), (32, 32)), ((9, 22), (16, 24)), ((8, 40), (8, 40))])
def test_fold_and_unfold_is_the_identity(shape, inner):
    echo = Echo()
    x = torch.rand(3, 1, *shape)
    assert torch.equal(UnshuffledUNet(echo, 2)(x, torch.zeros(3)), x)
    assert echo.shape == (3, 4, inner[0] // 2, inner[1] // 2)


def test_starts_as_zero_and_depends_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = build_network(describe_network(TINY, (9, 22), 0), seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    two = build_network(describe_network(TINY, (9, 22), 0), seed=1)
    other = build_network(describe_network(TINY, (9, 22), 0), seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    out = one(torch.rand(2, 1, 9, 22), torch.zeros(2))
    assert out.shape == (2, 1, 9, 22)
    assert not out.any()


def test_classes_and_noise_level_reach_the_output():
    network = build_network(describe_network(TINY, (8, 12), 3))
    x = torch.rand(1, 1, 8, 12)
    with torch.no_grad():
        out = [network(x, torch.tensor([0.1]), torch.tensor([c])) for c in range(3)]
        level = network(x, torch.tensor([0.5]), torch.tensor([0]))
    assert not torch.equal(out[0], out[1])
    assert not torch.equal(out[1], out[2])
    assert not torch.equal(out[0], level)


def test_attention_goes_where_it_is_asked_for():
    settings = NetworkSettings(channels=(8, 16), norm_groups=4, attention=(False, True), mid_attention=True)
    unet = describe_network(settings, (28, 28), 0)["unet"]
    assert unet["down_block_types"] == ["DownBlock2D", "AttnDownBlock2D"]
    assert unet["up_block_types"] == ["AttnUpBlock2D", "UpBlock2D"]
    assert unet["add_attention"] is True


@pytest.mark.parametrize(
    ("shape", "grid", "factor"),
    [((28, 28), 16, 2), ((64, 64), 16, 4), ((60, 28), 4, 15), ((9, 8), 16, 1), ((8, 9), 4, 3)],
)
def test_automatic_factor_leaves_at_most_the_grid(shape, grid, factor):
    assert unshuffle_factor(shape, grid) == factor
    description = describe_network(NetworkSettings(grid=grid), shape, 0)
    assert description["unshuffle"] == factor
    assert description["unet"]["in_channels"] == factor**2
