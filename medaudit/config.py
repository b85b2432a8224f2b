"""Configuration files: YAML, checked against a model; an unknown key is an error."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medaudit.errors import ConfigProblem, SourceMissing


class Settings(BaseModel):
    """A group of settings: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnySettings = TypeVar("AnySettings", bound=Settings)

# The kinds of planted copies that run in every audit; `images/transforms` makes them.
PLANTED_KINDS = ("identity", "noise", "blur", "contrast", "jpeg", "flip", "shift")
PlantedKind = Literal["identity", "noise", "blur", "contrast", "jpeg", "flip", "shift"]


class AuditSettings(Settings):
    """How an audit tests; every value is printed in its report."""

    alpha: float = Field(0.05, gt=0, lt=0.5)  # the chance of refusing a clean release, all tests together
    cohort_share: float = Field(0.4, gt=0, lt=1)  # part of alpha for the cohort test; flags get the rest
    neighbours: int = Field(50, ge=1)  # k of the adaptive ratio
    plants: int = Field(100, ge=10)  # planted copies per kind
    required_kinds: tuple[PlantedKind, ...] = PLANTED_KINDS  # power must reach `required_power` for these
    required_power: float = Field(0.90, gt=0, lt=1)  # lower limit of power for release-supported
    permutations: int = Field(10_000, ge=1000)  # draws of the cohort test
    bootstrap: int = Field(1000, ge=200)  # replicates of the tail fit
    one_image_one_patient: bool = False  # the user states that no patient has two images


def load_settings(path: Path, model: type[AnySettings]) -> AnySettings:
    """Read a YAML file into `model`. Raises SourceMissing, or ConfigProblem naming the first wrong key."""
    if not path.is_file():
        raise SourceMissing(f"{path} is not a file; give a YAML config")
    try:
        body = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigProblem(f"{path} is not valid YAML") from None
    return check_settings(body if body is not None else {}, model, str(path))


def check_settings(body: Any, model: type[AnySettings], where: str) -> AnySettings:
    """Validate a mapping as `model`; `where` names its origin in the error."""
    if not isinstance(body, dict):
        raise ConfigProblem(f"{where}: a mapping of keys to values is expected")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole file"
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields))
            raise ConfigProblem(f"{where}: unknown key {key!r}; known keys: {known}") from None
        raise ConfigProblem(f"{where}: {key}: {first['msg']}") from None
