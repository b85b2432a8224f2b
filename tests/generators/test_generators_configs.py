"""The configs we ship: each loads, says how it is used and why each value is what it is, and builds its network."""

import re
from pathlib import Path

import pytest
import torch

from medaudit.config import NetworkSettings, NoiseSettings, SamplingSettings, TrainSettings, load_settings
from medaudit.generators.denoising import solve
from medaudit.generators.networks import build_network, describe_network

FOLDER = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
SIZES = {"demo.yaml": [(28, 28), (64, 64)], "xray64.yaml": [(64, 64)], "xray256.yaml": [(256, 256)]}


def test_there_are_the_three_that_the_readme_names():
    assert len(CONFIGS) >= 3
    assert set(SIZES) <= {path.name for path in CONFIGS}


def uncommented(text: str) -> list[str]:
    """Keys without a reason beside them; a group's own name needs none."""
    found = []
    for line in text.splitlines():
        key = re.match(r"\s*(\w+):(.*)", line)
        if (
            key
            and not line.lstrip().startswith("#")
            and key.group(2).strip()
            and not re.search(r"  # \S+ \S+", line)
        ):
            found.append(key.group(1))
    return found


def test_the_check_of_comments_would_fire():
    assert uncommented("steps: 3\nbatch: 4  # why not\nnetwork:\n  dropout: 0.1 # x\n") == [
        "steps",
        "dropout",
    ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_config_explains_itself(path: Path):
    text = path.read_text()
    first = text.splitlines()[0]
    assert first.startswith("# medaudit train --cohort ")
    assert f"--config configs/{path.name}" in first
    assert uncommented(text) == []
    assert "tuned" not in text


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_config_builds_its_network(path: Path):
    settings = load_settings(path, TrainSettings)
    for shape in SIZES.get(path.name, [(64, 48)]):
        with torch.device("meta"):  # shapes only: no weight is allocated
            network = build_network(describe_network(settings.network, shape, 2), seed=0)
            out = network(torch.empty(2, 1, *shape), torch.empty(2), torch.empty(2, dtype=torch.int64))
        assert out.shape == (2, 1, *shape)
        assert sum(p.numel() for p in network.parameters()) > 100_000


def test_every_setting_is_stated_somewhere():
    """A key that no config shows is a key that nobody finds; the two that change what is promised are exempt."""
    keys = set(re.findall(r"^\s*(\w+):", "\n".join(path.read_text() for path in CONFIGS), re.MULTILINE))
    for model in (TrainSettings, NetworkSettings, NoiseSettings, SamplingSettings):
        assert set(model.model_fields) - keys <= {"max_minutes"}


@pytest.mark.parametrize("name", ["demo.yaml", "demo-real.yaml"])
def test_the_demos_few_steps_end_where_many_of_heuns_do(name: str):
    """With the best denoiser of some films: as near to a film as after 40 steps of Heun, and nearly always the same."""
    random = torch.Generator().manual_seed(5)
    smooth = torch.nn.functional.interpolate(
        torch.randn(9, 1, 4, 5, generator=random), (24, 32), mode="bicubic"
    )
    films = smooth.clamp(-1, 1)  # (9, 1, Y, X)

    def denoise(x: torch.Tensor, sigma: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        apart = (x[:, None] - films[None]).square().flatten(2).sum(2)  # (B, 9)
        return torch.einsum("bn,ncyx->bcyx", torch.softmax(-apart / (2 * sigma[:, None] ** 2), 1), films)

    def nearest(sampling: SamplingSettings) -> tuple[torch.Tensor, torch.Tensor]:
        made = solve(denoise, noise, sampling)
        return (made[:, None] - films[None]).square().flatten(2).mean(2).sqrt().min(1)

    sampling = load_settings(FOLDER / name, TrainSettings).sampling
    noise = torch.randn(200, 1, 24, 32, generator=random)
    few = nearest(sampling)
    many = nearest(SamplingSettings(steps=40, sigma_min=sampling.sigma_min, sigma_max=sampling.sigma_max))
    assert float(few.values.quantile(0.95)) < 0.01
    assert float((few.indices == many.indices).float().mean()) > 0.95
    rough = nearest(sampling.model_copy(update={"steps": 3}))
    assert float((rough.indices == many.indices).float().mean()) < 0.95  # the check would fire
