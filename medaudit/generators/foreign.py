"""Models that others trained: diffusers' pixel-space UNet2DModel and MONAI's DiffusionModelUNet.

Only settings from an allow-list reach a constructor; whatever else a config says is an error or of no effect.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medaudit.errors import ConfigProblem, ModelUnreadable
from medaudit.generators.discrete import DiscreteDenoiser, betas_of, sampling_of, sigmas_of
from medaudit.generators.filling import filled
from medaudit.generators.networks import make_unet2d
from medaudit.generators.safety import folder_id
from medaudit.generators.sampling import GenerativeModel
from medaudit.plain_yaml import parse_yaml
from medaudit.regular import read_first

_LONGEST_CONFIG = 1 << 17  # bytes
_BLOCK = 16  # images evaluated together: foreign models do not say
# Schedulers whose training noise is the plain schedule of betas; EDM and flow matching ones are not.
_DIFFUSERS_SCHEDULERS = {
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
}
_MONAI_SCHEDULERS = {"DDPMScheduler", "DDIMScheduler", "PNDMScheduler"}
_MONAI_SCHEDULES = {
    "linear_beta": "linear",
    "scaled_linear_beta": "scaled_linear",
    "sigmoid_beta": "sigmoid",
    "cosine": "squaredcos_cap_v2",
}
_MONAI_NETWORK_KEYS = {
    "spatial_dims",
    "in_channels",
    "out_channels",
    "num_res_blocks",
    "channels",
    "num_channels",
    "attention_levels",
    "norm_num_groups",
    "norm_eps",
    "resblock_updown",
    "num_head_channels",
    "with_conditioning",
    "num_class_embeds",
    "include_fc",
    "use_combined_linear",
    "use_flash_attention",
    "upcast_attention",
}


def read_diffusers(folder: Path, device: torch.device) -> GenerativeModel:
    """A diffusers pipeline folder (unet/, scheduler/) or a bare UNet folder, which is then taken as DDPM's default.

    Raises ModelUnreadable for a latent or text-conditioned pipeline and for what is missing.
    """
    if (folder / "vae").exists() or (folder / "vqvae").exists() or (folder / "text_encoder").exists():
        raise ModelUnreadable(
            f"{folder} is a latent or text-conditioned pipeline; only pixel-space models are read"
        )
    unet_folder = folder / "unet" if (folder / "unet").is_dir() else folder
    config = _read_json(folder, unet_folder / "config.json")
    if config.get("_class_name", "UNet2DModel") != "UNet2DModel":
        raise ModelUnreadable(f"{folder}: {config['_class_name']} is not read; only UNet2DModel is")
    arguments = {k: v for k, v in config.items() if not k.startswith("_") and k in _unet2d_keys()}
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    size = arguments.get("sample_size")
    shape = (size, size) if isinstance(size, int) else size
    if not (
        isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape)
    ):
        raise ModelUnreadable(
            f"{folder}: unet config.json states no sample_size; add it (pixels, or [rows, columns])"
        )
    weights = _weights(folder, unet_folder)
    network = _filled(folder, lambda: make_unet2d(arguments), arguments, weights)
    schedule = _diffusers_schedule(folder)

    def call(net: nn.Module, x: Tensor, step: Tensor, classes: Tensor | None) -> Tensor:
        # An embedding looked up by step knows whole steps only.
        at = step.round().long() if arguments.get("time_embedding_type") == "learned" else step
        return net(x, at, class_labels=classes, return_dict=False)[0]

    files = [*weights, *(p for p in folder.rglob("*.json") if p.is_file())]
    return _finish(folder, device, network, call, schedule, shape, arguments, (-1.0, 1.0), files, "diffusers")


def read_monai(folder: Path, device: torch.device) -> GenerativeModel:
    """A MONAI bundle: configs/*.json or *.yaml with a DiffusionModelUNet, models/*.safetensors.

    The image size is read from configs/metadata.json, network_data_format.inputs.*.spatial_shape, the value range
    from the same place (default [0, 1]). Raises ModelUnreadable for what is missing or needs an expression.
    """
    configs = sorted(p for p in (folder / "configs").iterdir() if p.suffix in (".json", ".yaml", ".yml"))
    bodies = [(p, _read_json(folder, p)) for p in configs]
    scope: dict[str, Any] = {}
    for _, body in bodies:
        scope.update(body)
    found = _targets(scope, {"DiffusionModelUNet"})
    if not found:
        raise ModelUnreadable(f"{folder}: no DiffusionModelUNet in configs/; other networks are not read")
    arguments = _plain_arguments(folder, found[0], scope)
    if arguments.get("with_conditioning"):
        raise ModelUnreadable(
            f"{folder}: the network needs a conditioning context, which medaudit cannot give"
        )
    shape, value_range = _monai_format(folder, scope)
    weights = _weights(folder, folder / "models")

    def make() -> nn.Module:
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

        return DiffusionModelUNet(**arguments)

    network = _filled(folder, make, arguments, weights)

    def call(net: nn.Module, x: Tensor, step: Tensor, classes: Tensor | None) -> Tensor:
        return net(x, timesteps=step, class_labels=classes)

    files = [*weights, *configs]
    schedule = _monai_schedule(folder, scope)
    return _finish(folder, device, network, call, schedule, shape, arguments, value_range, files, "monai")


def _finish(
    folder: Path,
    device: torch.device,
    network: nn.Module,
    call: Any,
    schedule: Mapping[str, Any],
    shape: tuple[int, int],
    arguments: Mapping[str, Any],
    value_range: tuple[float, float],
    files: list[Path],
    source: str,
) -> GenerativeModel:
    """The parts put together as a GenerativeModel."""
    try:
        betas = betas_of(schedule["schedule"], schedule["steps"], schedule["start"], schedule["end"])
        sigmas = sigmas_of(betas)
        denoiser = DiscreteDenoiser(network, call, sigmas, schedule["prediction"])
        sampling = sampling_of(sigmas, _BLOCK)
    except KeyError as error:
        raise ModelUnreadable(f"{folder}: noise schedule or prediction {error} is not read") from None
    except (TypeError, ValueError):
        raise ModelUnreadable(f"{folder}: the noise schedule's numbers are out of range") from None
    channels = int(arguments.get("in_channels", 3))
    if channels not in (1, 3):
        raise ModelUnreadable(f"{folder}: {channels} channels; only grey and colour models are read")
    count = int(arguments.get("num_class_embeds") or 0)
    return GenerativeModel(
        denoise=denoiser.to(device).eval().requires_grad_(False),
        image_shape=shape,
        sampling=sampling,
        device=device,
        id=folder_id(folder, files),
        classes=[f"class {i}" for i in range(count)],
        class_labels=[[f"class {i}"] for i in range(count)],
        channels=channels,
        value_range=value_range,
        source=source,
        facts={"schedule": dict(schedule)},
    )


def _unet2d_keys() -> set[str]:
    from diffusers.models.unets.unet_2d import UNet2DModel

    return set(inspect.signature(UNet2DModel.__init__).parameters) - {"self"}


def _diffusers_schedule(folder: Path) -> dict[str, Any]:
    """The schedule of scheduler/scheduler_config.json; DDPM's defaults for a bare UNet folder."""
    path = folder / "scheduler" / "scheduler_config.json"
    config: dict[str, Any] = {}
    if path.is_file():
        config = _read_json(folder, path)
    elif (folder / "model_index.json").is_file():
        raise ModelUnreadable(
            f"{folder}: scheduler/scheduler_config.json is missing; save the whole pipeline"
        )
    name = config.get("_class_name", "DDPMScheduler")
    if name not in _DIFFUSERS_SCHEDULERS:
        raise ModelUnreadable(
            f"{folder}: {name} is not read; save the pipeline with the DDPMScheduler of its training"
        )
    if config.get("trained_betas") is not None or config.get("rescale_betas_zero_snr"):
        raise ModelUnreadable(f"{folder}: trained_betas and rescale_betas_zero_snr are not read")
    return {
        "schedule": config.get("beta_schedule", "linear"),
        "steps": config.get("num_train_timesteps", 1000),
        "start": config.get("beta_start", 0.0001),
        "end": config.get("beta_end", 0.02),
        "prediction": config.get("prediction_type", "epsilon"),
    }


def _monai_schedule(folder: Path, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule of the bundle's scheduler; MONAI's defaults where it names none."""
    found = _targets(scope, _MONAI_SCHEDULERS)
    config = {
        k: _literal(folder, v, scope) for k, v in (found[0] if found else {}).items() if k != "_target_"
    }
    name = config.get("schedule", "linear_beta")
    if name not in _MONAI_SCHEDULES:
        raise ModelUnreadable(f"{folder}: noise schedule {name!r} is not read")
    return {
        "schedule": _MONAI_SCHEDULES[name],
        "steps": config.get("num_train_timesteps", 1000),
        "start": config.get("beta_start", 0.0001),
        "end": config.get("beta_end", 0.02),
        "prediction": config.get("prediction_type", "epsilon"),
    }


def _monai_format(folder: Path, scope: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[float, float]]:
    """Image shape (Y, X) and value range from the bundle's metadata."""
    inputs = (scope.get("network_data_format") or {}).get("inputs") or {}
    for entry in inputs.values():
        shape = entry.get("spatial_shape") if isinstance(entry, dict) else None
        if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape):
            low, high = (float(v) for v in entry.get("value_range") or (0, 1))
            return (shape[0], shape[1]), (low, high)
    raise ModelUnreadable(
        f"{folder}: configs/metadata.json states no network_data_format.inputs.*.spatial_shape [rows, columns]; add it"
    )


def _targets(value: Any, names: set[str]) -> list[dict[str, Any]]:
    """Every mapping below `value` whose `_target_` ends in one of the names."""

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if str(node.get("_target_", "")).rsplit(".", 1)[-1] in names:
                yield node
            for child in node.values():
                yield from walk(child)
        elif isinstance(node, list):
            for child in node:
                yield from walk(child)

    return list(walk(value))


def _plain_arguments(folder: Path, config: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """The network's constructor arguments as literals, all of them on the allow-list."""
    arguments = {}
    for key, value in config.items():
        if key == "_target_":
            continue
        if key not in _MONAI_NETWORK_KEYS:
            raise ModelUnreadable(f"{folder}: network argument {key!r} is not on the list of what is read")
        # `channels` was called `num_channels` before MONAI 1.4.
        arguments["channels" if key == "num_channels" else key] = _literal(folder, value, scope)
    return arguments


def _literal(folder: Path, value: Any, scope: Mapping[str, Any], depth: int = 0) -> Any:
    """A value without expressions: `@name` is looked up among the top-level keys, `$...` is refused."""
    if isinstance(value, list):
        return [_literal(folder, item, scope, depth + 1) for item in value]
    if isinstance(value, str) and value.startswith("@") and value[1:] in scope and depth < 8:
        return _literal(folder, scope[value[1:]], scope, depth + 1)
    if isinstance(value, dict) or (isinstance(value, str) and value[:1] in ("$", "@", "%")):
        raise ModelUnreadable(
            f"{folder}: the network's settings hold an expression; write the plain value instead"
        )
    return value


def _weights(folder: Path, where: Path) -> list[Path]:
    """The safetensors files of a folder. Raises ModelUnreadable when there is none."""
    files = sorted(where.glob("*.safetensors")) if where.is_dir() else []
    name = where.relative_to(folder).as_posix()
    if not files:
        raise ModelUnreadable(
            f"{folder}: no .safetensors file in {name}/; convert the weights to safetensors first"
        )
    sharded = list(where.glob("*.safetensors.index.json"))
    if len(files) > 1 and not sharded:
        raise ModelUnreadable(
            f"{folder}: {len(files)} .safetensors files in {name}/; leave the one to be read"
        )
    return files


def _filled(folder: Path, make: Any, described: Mapping[str, Any], weights: list[Path]) -> nn.Module:
    """A network from its constructor, filled from its weights (strictly), in float32."""
    try:
        network = filled(make, described, weights)
    except Exception:  # a foreign config or file may be wrong in any way; nothing of it was run as code
        raise ModelUnreadable(
            f"{folder}: the weights do not fit the network that the config describes"
        ) from None
    return network.to(torch.float32)


def _read_json(folder: Path, path: Path) -> dict[str, Any]:
    """A mapping from a JSON or YAML file of the folder."""
    name = path.relative_to(folder)
    try:
        data = read_first(path, _LONGEST_CONFIG + 1)
        if len(data) > _LONGEST_CONFIG:
            raise ValueError
        body = json.loads(data) if path.suffix == ".json" else parse_yaml(data, str(name))
    except OSError:
        raise ModelUnreadable(f"{folder}: {name} is missing") from None
    except (ValueError, RecursionError, ConfigProblem):
        raise ModelUnreadable(f"{folder}: {name} is not valid") from None
    if not isinstance(body, dict):
        raise ModelUnreadable(f"{folder}: {name} is not a mapping of names to values")
    return body
