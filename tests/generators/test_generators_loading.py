"""Models through one door: diffusers and MONAI folders sample, pickles and broken folders are refused by name."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medaudit.errors import ArtifactBroken, ModelUnreadable, ModelUnsafe, SourceMissing
from medaudit.generators.discrete import DiscreteDenoiser, betas_of, sigmas_of
from medaudit.generators.loading import load_model
from medaudit.generators.networks import make_unet2d

UNET = {
    "sample_size": [6, 10],
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [8, 8],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "add_attention": False,
}


def diffusers_folder(path: Path, **scheduler) -> Path:
    """A pipeline saved by diffusers itself."""
    from diffusers import DDPMPipeline, DDPMScheduler

    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = make_unet2d({k: tuple(v) if isinstance(v, list) else v for k, v in UNET.items()})
    DDPMPipeline(unet, DDPMScheduler(**scheduler)).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Path:
    return diffusers_folder(tmp_path_factory.mktemp("diffusers") / "model")


@pytest.fixture
def copy(pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the pipeline to break."""
    import shutil

    return Path(shutil.copytree(pipeline, tmp_path / "copy"))


def edit(path: Path, **changes) -> None:
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, **changes}))


def monai_bundle(path: Path, classes: int = 2, **changes) -> Path:
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    arguments = {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "num_res_blocks": 1,
        "channels": [8, 8],
        "attention_levels": [False, False],
        "norm_num_groups": 4,
        "num_class_embeds": classes,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DiffusionModelUNet(**arguments)
        for weight in network.parameters():  # MONAI starts with an output of zero
            torch.nn.init.normal_(weight, std=0.1)
    (path / "configs").mkdir(parents=True)
    (path / "models").mkdir()
    save_file(
        {k: v.contiguous() for k, v in network.state_dict().items()}, path / "models" / "model.safetensors"
    )
    config = {
        "classes": classes,
        "network_def": {
            "_target_": "monai.networks.nets.DiffusionModelUNet",
            **arguments,
            "num_class_embeds": "@classes",
            **changes,
        },
        "noise": {"_target_": "DDPMScheduler", "schedule": "scaled_linear_beta", "num_train_timesteps": 500},
    }
    (path / "configs" / "inference.json").write_text(json.dumps(config))
    form = {"inputs": {"image": {"spatial_shape": [8, 12], "value_range": [0, 1]}}}
    (path / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": form}))
    return path


def test_diffusers_folder_samples(pipeline: Path):
    model = load_model(pipeline, "cpu")
    assert model.image_shape == (6, 10)
    assert model.source == "diffusers"
    assert len(model.id) == 64
    images = model.sample(3, seed=1)
    assert images.shape == (3, 6, 10)
    assert np.isfinite(images).all()
    np.testing.assert_array_equal(images[:2], load_model(pipeline, "cpu").sample(2, seed=1))


def test_diffusers_denoiser_is_its_schedulers_own_estimate(pipeline: Path):
    """At whole time steps D must be what diffusers' scheduler computes as the clean image."""
    from diffusers import DDPMScheduler

    model = load_model(pipeline, "cpu")
    scheduler = DDPMScheduler(clip_sample=False)
    sigmas = sigmas_of(betas_of("linear", 1000, 0.0001, 0.02))
    x0 = torch.rand(1, 1, 6, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    for step in (3, 400, 900):
        noisy = scheduler.add_noise(x0, noise, torch.tensor([step]))
        eps = model.denoise.network(noisy, torch.tensor([step]), return_dict=False)[0]
        wanted = scheduler.step(
            eps, step, noisy, generator=torch.Generator().manual_seed(0)
        ).pred_original_sample
        sigma = torch.tensor([sigmas[step]])
        got = model.denoise(x0 + sigma.float() * noise, sigma, None)
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"])
def test_schedules_are_those_of_diffusers(name: str):
    from diffusers import DDPMScheduler

    wanted = DDPMScheduler(beta_schedule=name, num_train_timesteps=300).betas.double().numpy()
    np.testing.assert_allclose(betas_of(name, 300, 0.0001, 0.02), wanted, rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("linear", "linear_beta"), ("scaled_linear", "scaled_linear_beta"), ("sigmoid", "sigmoid_beta"),
     ("squaredcos_cap_v2", "cosine")],
)  # fmt: skip
def test_schedules_are_those_of_monai(name: str, theirs: str):
    from monai.networks.schedulers import DDPMScheduler

    wanted = DDPMScheduler(num_train_timesteps=300, schedule=theirs).betas.double().numpy()
    np.testing.assert_allclose(betas_of(name, 300, 0.0001, 0.02), wanted, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_perfect_network_denoises_perfectly(prediction: str):
    """A network that knows the image answers in its own kind; D must be that image at every noise level."""
    sigmas = sigmas_of(betas_of("linear", 1000, 0.0001, 0.02))
    image = torch.rand(1, 1, 4, 7) * 2 - 1
    noise = torch.randn(1, 1, 4, 7)
    for step in (0, 17, 999):
        alpha = float(1 / np.sqrt(1 + sigmas[step] ** 2))
        spread = float(sigmas[step] * alpha)
        answer = {"epsilon": noise, "v_prediction": alpha * noise - spread * image, "sample": image}[
            prediction
        ]
        seen = []

        def call(net, x, at, classes, answer=answer, seen=seen):
            seen.append((x, at))
            return torch.cat([answer, torch.full_like(answer, 9.0)], 1)  # a learned variance follows

        denoiser = DiscreteDenoiser(torch.nn.Identity(), call, sigmas, prediction)
        sigma = torch.tensor([sigmas[step]])
        got = denoiser(image + sigma.float() * noise, sigma)
        torch.testing.assert_close(got, image, rtol=1e-3, atol=2e-4 * max(1.0, float(sigma)))
        assert float(seen[0][1]) == pytest.approx(step, abs=1e-3)
        torch.testing.assert_close(seen[0][0], alpha * image + spread * noise, rtol=1e-3, atol=1e-3)


def test_monai_bundle_samples_by_class(tmp_path: Path):
    model = load_model(monai_bundle(tmp_path / "bundle"), "cpu")
    assert (model.image_shape, model.value_range, len(model.classes)) == ((8, 12), (0.0, 1.0), 2)
    zero, one = (model.sample(2, 0, class_of=lambda i, c=c: c) for c in (0, 1))
    assert zero.shape == (2, 8, 12)
    assert not np.array_equal(zero, one)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm_eps": "$__import__('os').getcwd()"}, "expression"),
        ({"strange": 1}, "'strange'"),
        ({"with_conditioning": True}, "context"),
        ({"channels": [8, 8, 8], "attention_levels": [False] * 3}, "do not fit"),
    ],
)
def test_monai_bundles_that_are_refused(tmp_path: Path, changes, words):
    with pytest.raises(ModelUnreadable, match=words):
        load_model(monai_bundle(tmp_path / "bundle", **changes), "cpu")


def test_monai_bundle_without_its_pieces(tmp_path: Path):
    bundle = monai_bundle(tmp_path / "bundle")
    (bundle / "configs" / "metadata.json").unlink()
    with pytest.raises(ModelUnreadable, match="spatial_shape"):
        load_model(bundle, "cpu")
    (bundle / "configs" / "inference.json").write_text(
        '{"network_def": {"_target_": "monai.networks.nets.UNet"}}'
    )
    with pytest.raises(ModelUnreadable, match="DiffusionModelUNet"):
        load_model(bundle, "cpu")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "model.pt", "notes.txt", "unet/x.CKPT"])
def test_a_pickle_anywhere_is_refused_by_name_and_by_content(copy: Path, name: str):
    (copy / name).write_bytes(pickle.dumps(Bomb(), protocol=4))
    with pytest.raises(ModelUnsafe, match=r"safetensors\.torch\.save_file") as caught:
        load_model(copy, "cpu")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_torch_zip_under_another_name_is_refused(copy: Path):
    with zipfile.ZipFile(copy / "weights.dat", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(ModelUnsafe):
        load_model(copy, "cpu")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda p: (p / "unet" / "config.json").unlink(), "config.json is missing"),
        (lambda p: (p / "unet" / "config.json").write_text("{"), "not valid"),
        (lambda p: (p / "unet" / "config.json").write_text("[]"), "not a mapping"),
        (lambda p: next((p / "unet").glob("*.safetensors")).unlink(), r"no \.safetensors"),
        (lambda p: next((p / "unet").glob("*.safetensors")).write_bytes(b"short"), "do not fit"),
        (lambda p: (p / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config.json is missing"),
        (
            lambda p: edit(p / "scheduler" / "scheduler_config.json", _class_name="EDMEulerScheduler"),
            "EDMEuler",
        ),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", beta_schedule="odd"), "odd"),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", prediction_type="odd"), "odd"),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True), "zero_snr"),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", beta_start="x"), "out of range"),
        (lambda p: edit(p / "unet" / "config.json", sample_size=None), "sample_size"),
        (lambda p: edit(p / "unet" / "config.json", _class_name="UNet2DConditionModel"), "UNet2DCondition"),
        (lambda p: edit(p / "unet" / "config.json", block_out_channels=[8, 16]), "do not fit"),
        (lambda p: (p / "vae").mkdir(), "latent"),
        (lambda p: (p / "unet" / "config.json").write_text("[" * 100_000), "not valid"),
        (lambda p: (p / "unet" / "config.json").write_text(" " * 200_000 + "{}"), "not valid"),
        (lambda p: edit(p / "unet" / "config.json", block_out_channels=[1 << 19, 1 << 19]), "do not fit"),
        (lambda p: edit(p / "unet" / "config.json", layers_per_block=10**9), "do not fit"),
        (lambda p: edit(p / "unet" / "config.json", in_channels=[1]), "do not fit"),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", _class_name=[]), "do not fit"),
        (lambda p: edit(p / "scheduler" / "scheduler_config.json", beta_schedule=[]), "is not read"),
    ],
)
def test_broken_diffusers_folders(copy: Path, break_it, words):
    load_model(copy, "cpu")
    break_it(copy)
    with pytest.raises(ModelUnreadable, match=words) as caught:
        load_model(copy, "cpu")
    assert "\n" not in str(caught.value)


def test_a_bare_unet_folder_and_no_model_at_all(copy: Path, tmp_path: Path):
    assert load_model(copy / "unet", "cpu").image_shape == (6, 10)
    with pytest.raises(SourceMissing):
        load_model(tmp_path / "nowhere", "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelUnreadable, match="MONAI bundle"):
        load_model(tmp_path / "empty", "cpu")


def own_model(path: Path, record: dict, weights: dict) -> Path:
    """A model artifact with a whole manifest, whatever is in its files."""
    from medaudit.artifacts.store import Draft, Request

    with Draft(path, Request("model", {}, 0)) as draft:
        draft.file("model.json").write_text(json.dumps(record))
        save_file(weights, draft.file("model.safetensors"))
        draft.commit()
    return path


def own_record() -> dict:
    from medaudit.config import NetworkSettings, SamplingSettings
    from medaudit.generators.networks import describe_network

    network = NetworkSettings(unshuffle=2, channels=(8,), norm_groups=4)
    return {
        "schema": "medaudit.model/1",
        "architecture": describe_network(network, (6, 10), 0),
        "image_shape": [6, 10],
        "dtype": "uint8",
        "preconditioning": {"kind": "edm", "sigma_data": 0.5},
        "sampling": SamplingSettings(steps=2, batch=2).model_dump(),
        "class_labels": [],
        "class_counts": [],
    }


def test_medaudits_own_folder_and_what_may_be_wrong_with_it(tmp_path: Path):
    from medaudit.generators.networks import build_network

    weights = build_network(own_record()["architecture"], 0).state_dict()
    good = own_model(tmp_path / "good", own_record(), weights)
    model = load_model(good, "cpu")
    assert model.source == "medaudit"
    assert model.sample(2, 0).shape == (2, 6, 10)
    broken = {
        "schema": {"schema": "medaudit.model/9"},
        "edm": {"preconditioning": {"kind": "vp", "sigma_data": 1}},
        "fit": {"architecture": {**own_record()["architecture"], "unshuffle": "two"}},
        "do not": {"class_labels": 3},
    }
    for word, change in broken.items():
        with pytest.raises(ModelUnreadable, match=word):
            load_model(own_model(tmp_path / word, {**own_record(), **change}, weights), "cpu")
    with pytest.raises(ModelUnreadable, match="do not fit"):
        load_model(own_model(tmp_path / "short", own_record(), dict(list(weights.items())[1:])), "cpu")
    (good / "extra.pt").write_bytes(b"")
    with pytest.raises(ModelUnsafe, match=r"extra\.pt"):
        load_model(good, "cpu")
    (good / "extra.pt").unlink()
    (good / "model.json").write_text("{}")
    with pytest.raises(ArtifactBroken):
        load_model(good, "cpu")
