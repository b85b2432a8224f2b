"""EDM's formulas against an independent reading of them, and a sampler that must find planted images."""

import numpy as np
import pytest
import torch

from medaudit.config import NoiseSettings, SamplingSettings
from medaudit.generators.denoising import (
    Denoiser,
    draw_sigma,
    exponential_weights,
    heun,
    multistep,
    sigma_steps,
    solve,
    weighted_loss,
)

B, Y, X = 3, 4, 7


class Recorder(torch.nn.Module):
    """A network that keeps its inputs and answers with a fixed image."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer
        self.seen: tuple | None = None

    def forward(self, x, noise_level, classes):
        self.seen = (x, noise_level, classes)
        return self.answer


def test_preconditioning_is_table_1():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, 1, Y, X)).astype(np.float32)
    answer = rng.normal(size=(B, 1, Y, X)).astype(np.float32)
    sigma = np.array([0.01, 0.7, 30.0])
    network = Recorder(torch.from_numpy(answer))
    classes = torch.tensor([0, 1, 0])
    got = Denoiser(network, 0.4)(torch.from_numpy(x), torch.from_numpy(sigma), classes).numpy()
    for b, s in enumerate(sigma):
        c_skip = 0.4**2 / (s**2 + 0.4**2)
        c_out = s * 0.4 / np.sqrt(0.4**2 + s**2)
        np.testing.assert_allclose(got[b], c_skip * x[b] + c_out * answer[b], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(network.seen[0][b], x[b] / np.sqrt(s**2 + 0.4**2), rtol=1e-5)
        assert float(network.seen[1][b]) == pytest.approx(np.log(s) / 4, rel=1e-5)
    assert network.seen[2] is classes


def test_loss_weight_makes_the_networks_own_target_unit_variance():
    """With F = 0 the weighted loss is the target's variance, 1, at every noise level (section 5 of the paper)."""
    random = torch.Generator().manual_seed(1)
    for level in (0.02, 0.5, 20.0):
        clean = 0.5 * torch.randn(64, 1, 16, 16, generator=random)
        sigma = torch.full((64,), level)
        noisy = clean + level * torch.randn(clean.shape, generator=random)
        denoised = Denoiser(Recorder(torch.zeros_like(clean)), 0.5)(noisy, sigma)
        assert float(weighted_loss(denoised, clean, sigma, 0.5).mean()) == pytest.approx(1.0, abs=0.05)


def test_weighted_loss_by_hand():
    denoised, clean = torch.rand(B, 1, Y, X), torch.rand(B, 1, Y, X)
    sigma = torch.tensor([0.1, 1.0, 9.0])
    got = weighted_loss(denoised, clean, sigma, 0.5)
    for b in range(B):
        s = float(sigma[b])
        mean = float(sum((denoised[b].flatten() - clean[b].flatten()) ** 2) / (Y * X))
        assert float(got[b]) == pytest.approx((s**2 + 0.25) / (s * 0.5) ** 2 * mean, rel=1e-4)


def test_sigma_steps_are_eq_5():
    got = sigma_steps(SamplingSettings(steps=5, sigma_min=0.1, sigma_max=40.0, rho=7.0))
    assert len(got) == 6
    assert got[-1] == 0.0
    assert got[0] == pytest.approx(40.0)
    assert got[-2] == pytest.approx(0.1)
    assert got[1] == pytest.approx((40 ** (1 / 7) + 0.25 * (0.1 ** (1 / 7) - 40 ** (1 / 7))) ** 7)
    assert got == sorted(got, reverse=True)


def test_sigmas_are_log_normal_and_even():
    noise = NoiseSettings(p_mean=-0.7, p_std=1.3)
    drawn = torch.stack([draw_sigma(8, noise, torch.Generator().manual_seed(s)) for s in range(2000)]).log()
    assert float(drawn.mean()) == pytest.approx(-0.7, abs=0.02)
    assert float(drawn.std()) == pytest.approx(1.3, abs=0.02)
    # Each place of the batch is log-normal on its own, and every batch has half its levels below the median.
    assert float(drawn[:, 0].std()) == pytest.approx(1.3, abs=0.08)
    assert set((drawn < -0.7).sum(1).tolist()) == {4}


def posterior_mean(images: torch.Tensor):
    """The best denoiser for a set of images, all equally likely (Karras et al. 2022, app. B.3, eq. 57)."""

    def denoise(x, sigma, classes):
        distance = (x[:, None] - images[None]).square().flatten(2).sum(2)  # (B, n)
        weight = torch.softmax(-distance / (2 * sigma[:, None] ** 2), dim=1)
        return torch.einsum("bn,ncyx->bcyx", weight, images)

    return denoise


def test_heun_finds_the_planted_images():
    images = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (5, 1, Y, X))).float()
    noise = torch.from_numpy(np.random.default_rng(3).normal(size=(40, 1, Y, X))).float()
    made = heun(posterior_mean(images), noise, sigma_steps(SamplingSettings(steps=40)))
    distance = (made[:, None] - images[None]).square().flatten(2).mean(2).sqrt()  # (40, 5)
    assert float(distance.min(1).values.quantile(0.9)) < 0.02
    assert len(set(distance.argmin(1).tolist())) == 5


def test_multistep_finds_the_planted_images_in_few_steps():
    images = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (5, 1, Y, X))).float()
    noise = torch.from_numpy(np.random.default_rng(3).normal(size=(40, 1, Y, X))).float()
    made = multistep(posterior_mean(images), noise, sigma_steps(SamplingSettings(steps=8, sigma_min=0.05)))
    distance = (made[:, None] - images[None]).square().flatten(2).mean(2).sqrt()  # (40, 5)
    assert float(distance.min(1).values.quantile(0.9)) < 0.02
    assert len(set(distance.argmin(1).tolist())) == 5


def gaussian(spread: float):
    """The best denoiser for pixels that are normal(0, spread)."""

    def denoise(x, sigma, classes):
        return x * (spread**2 / (spread**2 + sigma**2))[:, None, None, None]

    return denoise


def test_heun_is_of_second_order():
    """On one Gaussian the solution is known: halving the steps' length must quarter the error."""
    spread, denoise = 0.6, gaussian(0.6)
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    errors = []
    for steps in (16, 32, 64):
        levels = [4.0 - 3.9 * i / steps for i in range(steps + 1)]  # even steps, from 4 to 0.1
        got = float(heun(denoise, noise, levels))
        true = 4.0 * np.sqrt((spread**2 + 0.1**2) / (spread**2 + 4.0**2))
        errors.append(abs(got - true))
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_multistep_is_of_third_order():
    """On one Gaussian, even steps in ln sigma: halving their length must divide the error by eight, about.

    From far above the images' spread, where D is all but constant and the first two steps' lower orders do not show.
    """
    spread, first, last = 0.6, 400.0, 0.1
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    errors = []
    for steps in (24, 48, 96):
        levels = [first * (last / first) ** (i / steps) for i in range(steps + 1)]
        # The sampler ends on an evaluation: what it held before is told from D = x spread^2 / (spread^2 + sigma^2).
        got = float(multistep(gaussian(spread), noise, [*levels, 0.0])) * (spread**2 + last**2) / spread**2
        true = first * np.sqrt((spread**2 + last**2) / (spread**2 + first**2))
        errors.append(abs(got - true))
    assert errors[0] / errors[1] > 6
    assert errors[1] / errors[2] > 6


@pytest.mark.parametrize("places", [[0.0], [0.0, -0.7], [0.0, -0.7, -1.9]])
def test_weights_integrate_polynomials(places: list[float]):
    """Against a fine midpoint rule, for each power that the places can hold."""
    ahead, cells = 1.3, 20_000
    u = (np.arange(cells) + 0.5) * ahead / cells
    got = exponential_weights(ahead, places)
    for power in range(len(places)):
        true = np.sum(np.exp(u - ahead) * u**power) * ahead / cells
        assert sum(w * p**power for w, p in zip(got, places, strict=True)) == pytest.approx(true, abs=1e-8)


@pytest.mark.parametrize(("solver", "evaluations"), [("heun", 9), ("multistep", 5)])
def test_the_settings_choose_the_solver_and_its_cost(solver: str, evaluations: int):
    asked = []

    def denoise(x, sigma, classes):
        assert sigma.shape == (B,) and len(set(sigma.tolist())) == 1
        asked.append((float(sigma[0]), classes))
        return x * 0.3

    classes = torch.arange(B)
    sampling = SamplingSettings(solver=solver, steps=5, sigma_min=0.1, sigma_max=40.0)
    made = solve(denoise, torch.ones(B, 1, Y, X), sampling, classes)
    assert made.shape == (B, 1, Y, X)
    assert len(asked) == evaluations
    assert sorted({level for level, _ in asked}, reverse=True) == pytest.approx(sigma_steps(sampling)[:-1])
    assert all(seen is classes for _, seen in asked)


def test_a_record_without_a_solver_is_heuns():
    assert SamplingSettings.model_validate({"steps": 18, "rho": 7.0}).solver == "heun"
