"""Configuration files: YAML, checked against a model; an unknown key is an error."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medaudit.errors import ConfigProblem, SourceMissing
from medaudit.plain_yaml import read_yaml

_LARGEST = 2**31 - 1  # what every library below takes as a count
_LONGEST_KEY = 60  # characters of a key that a message repeats


class Settings(BaseModel):
    """A group of settings: frozen; unknown keys, infinities and counts that no machine can reach are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _countable(cls, value: Any) -> Any:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, int) and abs(part) > _LARGEST:
                raise ValueError(f"larger than {_LARGEST}, which nothing here can be")
        return value


AnySettings = TypeVar("AnySettings", bound=Settings)

# The kinds of planted copies; `images/plants` makes them.
PlantedKind = Literal[
    "identity", "noise-0.05", "noise-0.15", "blur-1", "blur-3", "resolution-64", "resolution-32", "jpeg-40", "jpeg-10",
    "gamma-0.6", "gamma-1.6", "window", "equalise", "polarity", "mirror", "shift-4", "shift-8", "rotate-5", "rotate-10",
    "crop-90", "crop-75", "zoom-out-90", "rotate-10-crop-85", "elastic", "blend-0.7", "blend-0.5", "left-half",
    "text-box", "autoencoder", "three",
]  # fmt: skip
PLANTED_KINDS: tuple[PlantedKind, ...] = get_args(PlantedKind)

# What a generator and its pipeline do as a matter of course: without power here there is no release.
REQUIRED_KINDS: tuple[PlantedKind, ...] = (
    "identity", "noise-0.05", "blur-1", "resolution-64", "jpeg-40", "gamma-0.6", "gamma-1.6", "mirror", "shift-4",
)  # fmt: skip

# Unseen people asked, at most, of T and of H each: enough for a tail, and an audit of 100,000 films stays feasible.
REFERENCE_PEOPLE = 5000


class CopyNetSettings(Settings):
    """How the copy network is built and trained; every value is written beside its weights."""

    size: int = Field(64, ge=16, le=512)  # pixels a side that the network sees
    fold: int = Field(4, ge=1, le=16)  # fold n x n pixels into channels before the first layer
    channels: tuple[int, ...] = Field((32, 64, 128), min_length=1, max_length=6)  # one entry a stage
    blocks: int = Field(1, ge=1, le=16)  # residual blocks a stage
    values: int = Field(128, ge=8, le=2048)  # length of an embedding
    steps: int = Field(1500, ge=1)
    batch: int = Field(32, ge=2)  # films a step
    views: int = Field(2, ge=1, le=16)  # edited views of each film a step
    neighbours: int = Field(4, ge=1)  # films that share a batch because they look alike; 1: none
    temperature: float = Field(0.05, gt=0)
    learning_rate: float = Field(2e-3, gt=0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    clip_norm: float = Field(1.0, gt=0)  # largest norm of the gradient
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where the device has units for it
    checkpoint_minutes: float = Field(2.0, ge=0)  # 0: after every step
    max_minutes: float | None = Field(None, gt=0)  # stop by the clock; the bytes are then not reproducible

    @model_validator(mode="after")
    def _divides(self) -> "CopyNetSettings":
        if self.size % (self.fold * 2 ** (len(self.channels) - 1)):
            raise ValueError("size must be a multiple of fold * 2 ** (entries of channels - 1)")
        return self


class GenerativeSettings(Settings):
    """The generative control: a small diffusion model, over-trained on a film each of a few training patients."""

    films: int = Field(16, ge=4)  # patients, at most; each more narrows the interval of power and costs steps
    steps: int = Field(600, ge=1)  # of training
    images: int = Field(128, ge=1)  # that it makes


class AuditSettings(Settings):
    """How an audit tests; every value is printed in its report."""

    alpha: float = Field(0.05, gt=0, lt=0.5)  # the chance of refusing a clean release, all tests together
    cohort_share: float = Field(0.4, gt=0, lt=1)  # part of alpha for the cohort test; flags get the rest
    neighbours: int = Field(50, ge=1)  # k of the adaptive ratio
    plants: int = Field(100, ge=10)  # planted copies per kind
    required_kinds: tuple[PlantedKind, ...] = REQUIRED_KINDS  # power must reach `required_power` for these
    controls: Literal["full", "quick"] = "full"  # quick: only the required kinds, no generative control
    generative: GenerativeSettings = GenerativeSettings()
    required_power: float = Field(0.90, gt=0, lt=1)  # lower limit of power for release-supported
    reference_people: int = Field(
        REFERENCE_PEOPLE, ge=100
    )  # unseen people asked, at most, from T and from H each
    permutations: int = Field(10_000, ge=1000)  # draws of the cohort test
    bootstrap: int = Field(1000, ge=200)  # replicates of the tail fit
    one_image_one_patient: bool = False  # the user states that no patient has two images
    copynet: CopyNetSettings = CopyNetSettings()  # of --copy-network train


def planted_kinds(settings: AuditSettings) -> tuple[PlantedKind, ...]:
    """The kinds that an audit plants, in the order of PLANTED_KINDS."""
    if settings.controls == "full":
        return PLANTED_KINDS
    return tuple(kind for kind in PLANTED_KINDS if kind in settings.required_kinds)


Fold = Literal["auto"] | Annotated[int, Field(ge=1, le=64)]


class NetworkSettings(Settings):
    """The UNet: `channels` has one entry a resolution level, each half the size of the one before."""

    unshuffle: Fold = "auto"  # fold n x n pixels into channels before the first layer
    grid: int = Field(16, ge=1)  # with auto: fold until the longer side is at most this
    channels: tuple[int, ...] = Field((64, 128), min_length=1, max_length=8)
    layers_per_block: int = Field(1, ge=1, le=8)
    attention: tuple[bool, ...] | None = None  # self-attention a level; none where absent
    mid_attention: bool = False  # self-attention at the lowest resolution
    norm_groups: int = Field(8, ge=1)  # groups of group norm; divides every entry of channels
    time_scale_shift: bool = False  # the noise level scales features as well as shifting them
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> "NetworkSettings":
        if any(width < 1 or width % self.norm_groups for width in self.channels):
            raise ValueError("every entry of channels must be a multiple of norm_groups")
        if self.attention is not None and len(self.attention) != len(self.channels):
            raise ValueError("attention needs one entry for each entry of channels")
        return self


class NoiseSettings(Settings):
    """Noise during training: ln sigma is normal(p_mean, p_std), Karras et al. 2022, table 1; pixels in [-1, 1]."""

    p_mean: float = -1.2
    p_std: float = Field(1.2, gt=0)
    sigma_data: float = Field(0.5, gt=0)  # standard deviation of the pixels


class SamplingSettings(Settings):
    """A deterministic sampler over the noise levels of Karras et al. 2022, eq. 5.

    `heun` is their algorithm 1, two evaluations a step but for the last; `multistep` is of third order by what it
    evaluated before, one evaluation a step. Models made before there was a choice are heun's.
    """

    solver: Literal["heun", "multistep"] = "heun"
    steps: int = Field(18, ge=2)
    sigma_min: float = Field(0.002, gt=0)
    sigma_max: float = Field(80.0, gt=0)
    rho: float = Field(7.0, gt=0)
    batch: int = Field(32, ge=1)  # images evaluated together; part of the model, for byte-equal images

    @model_validator(mode="after")
    def _ordered(self) -> "SamplingSettings":
        if self.sigma_min >= self.sigma_max:
            raise ValueError("sigma_min must be below sigma_max")
        return self


class TrainSettings(Settings):
    """How a diffusion model is trained; every value goes into the model's manifest."""

    steps: int = Field(ge=1)
    batch: int = Field(32, ge=1)  # images a step, over all processes together
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float = Field(1.0, gt=0)  # largest norm of the gradient
    ema_halflife_steps: float = Field(100.0, gt=0)  # half-life of the averaged weights, ramped up from 0
    conditional: bool = False  # condition on the labels of the rows
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where the device has units for it
    compile: bool = False  # torch.compile, cuda only: over a minute before the first step
    checkpoint_minutes: float = Field(2.0, ge=0)  # 0: after every step
    max_minutes: float | None = Field(None, gt=0)  # stop by the clock; the bytes are then not reproducible
    network: NetworkSettings = NetworkSettings()
    noise: NoiseSettings = NoiseSettings()
    sampling: SamplingSettings = SamplingSettings()


def load_settings(path: Path, model: type[AnySettings]) -> AnySettings:
    """Read a YAML file into `model`. Raises SourceMissing, or ConfigProblem naming the first wrong key."""
    if not path.is_file():
        raise SourceMissing(f"{path} is not a file; give a YAML config, such as those in configs/")
    body = read_yaml(path, str(path))
    return check_settings(body if body is not None else {}, model, str(path))


def check_settings(body: Any, model: type[AnySettings], where: str) -> AnySettings:
    """Validate a mapping as `model`; `where` names its origin in the error."""
    if not isinstance(body, dict):
        raise ConfigProblem(f"{where}: a mapping of keys to values is expected")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        # A misspelled key is told before the one it leaves missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])[:_LONGEST_KEY] or "the whole file"
        if first["type"] == "extra_forbidden":
            raise ConfigProblem(
                f"{where}: unknown key {key!r}; {_known_beside(first['loc'], model)}"
            ) from None
        raise ConfigProblem(f"{where}: {key}: {first['msg']}") from None


def _known_beside(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """What could stand in the place of an unknown key: the closest name, or all of them."""
    for part in location[:-1]:
        named = model.model_fields.get(str(part))
        inner = named.annotation if named else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return "see the examples in configs/"
        model = inner
    near = get_close_matches(str(location[-1])[:_LONGEST_KEY], model.model_fields, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(model.model_fields))}"
