"""Options that several commands share, spelled once."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from medaudit.cli import completion
from medaudit.errors import UsageProblem

_UNITS = {"B": 1, **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)}


class Engine(StrEnum):
    """Who searches."""

    local = "local"
    ray = "ray"


def memory_bytes(text: str) -> int:
    """`2GB`, `512 MB`, `1.5GiB` → bytes. Raises UsageProblem for what is no size."""
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]{1,3})\s*", text)
    if match is None or match[2].upper() not in _UNITS:
        raise UsageProblem(
            f"--memory {text!r} is no size; write a number with a unit, such as 2GB, 512MB or 1.5GiB"
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])


Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Every random number of the run follows from it.")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:0 ... or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, an npz file or a DICOMDIR.")]
Layout = Annotated[str, typer.Option("--layout", metavar="NAME", help="auto, or the name of a known layout.")]
Manifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        metavar="CSV",
        help="Columns file and patient_id, or usual names of them; overrides the layout.",
    ),
]
FileColumn = Annotated[
    str | None,
    typer.Option(
        "--file-column", metavar="NAME", help="Column of --manifest or metadata.csv that names the file."
    ),
]
PatientColumn = Annotated[
    str | None,
    typer.Option(
        "--patient-column",
        metavar="NAME",
        help="Column of --manifest or metadata.csv that names the patient.",
    ),
]
OnlyLayout = Annotated[
    bool,
    typer.Option(
        "--only-layout", help="Go on where the layout covers only some of the images; the others are refused."
    ),
]
PatientRegex = Annotated[
    str | None,
    typer.Option(
        "--patient-regex",
        metavar="REGEX",
        help="Regular expression whose first group is the patient, on file names.",
    ),
]
RefusedCsv = Annotated[
    Path | None,
    typer.Option(
        "--refused-csv",
        metavar="FILE",
        help="Write the names of all files that cannot be read, with the reason of each. They may identify patients.",
    ),
]
CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="A folder made by ingest.")]
Train = Annotated[
    Path, typer.Option("--train", metavar="FOLDER", help="Training cohort T: all of the model's patients.")
]
Holdout = Annotated[
    Path, typer.Option("--holdout", metavar="FOLDER", help="Held-out cohort H: patients the model never saw.")
]
Synthetic = Annotated[Path, typer.Option("--synthetic", metavar="FOLDER", help="Synthetic cohort S.")]
Model = Annotated[
    Path,
    typer.Option(
        "--model",
        metavar="FOLDER",
        help="Model folder: medaudit's, diffusers' or a MONAI bundle with safetensors.",
    ),
]
SiteKey = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="The site's key, medaudit.key; searched for near the cohorts if not given.",
    ),
]
CopyNetwork = Annotated[
    str | None,
    typer.Option(
        "--copy-network",
        metavar="PATH",
        help="`train`, or a path: a kept encoder's folder, or a safetensors file.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write; it must not exist yet.")]
Config = Annotated[
    Path,
    typer.Option("--config", metavar="FILE", help="YAML; see configs/.", autocompletion=completion.configs),
]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="YAML with audit settings.", autocompletion=completion.configs
    ),
]
Forbid = Annotated[
    Path | None,
    typer.Option(
        "--forbid", metavar="FILE", help="A text file of words, one a line, that no file written may hold."
    ),
]
IdentityFile = Annotated[
    Path | None,
    typer.Option(
        "--identities",
        metavar="FILE",
        help="Identity file of ingest: no file written may hold a name of it. Found next to T and H if not given.",
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        "--memory", metavar="SIZE", help="Working memory: 2GB, 512MB, 1.5GiB; on a cluster, of each worker."
    ),
]
SearchEngine = Annotated[
    Engine, typer.Option("--engine", help="Who searches: this process, or the workers of a Ray cluster.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Of a cluster that runs: auto, HOST:PORT or ray://HOST:PORT. Without it --engine ray takes this "
        "machine's cores.",
    ),
]

LEDGER_VARIABLE = "MEDAUDIT_LEDGER"
LedgerFile = Annotated[Path, typer.Option("--ledger", envvar=LEDGER_VARIABLE, help="The site's ledger.")]
LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger", envvar=LEDGER_VARIABLE, help="The site's ledger, made when absent: record this in it."
    ),
]
WithRelease = Annotated[
    list[Path] | None,
    typer.Option(
        "--with-release",
        metavar="COHORT",
        help="A synthetic cohort that was released before, to be audited together with this one; with --ledger.",
    ),
]
RecordedBy = Annotated[str, typer.Option("--by", envvar="MEDAUDIT_BY", help="Who does this, for the ledger.")]
RecordedDate = Annotated[str, typer.Option("--date", help="YYYYMMDD, for the ledger.")]


def refuse_without_ledger(ledger: Path | None, **given: object) -> None:
    """Raise UsageProblem for an option that only a ledger can use."""
    for name, value in given.items():
        if ledger is None and value:
            raise UsageProblem(f"--{name.replace('_', '-')} needs --ledger, which knows what was released")


def refuse_unused(ctx: typer.Context, why: str, *names: str) -> None:
    """Raise UsageProblem for an option that was typed and would be left unused; one of the environment may stay."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            typed = next(one.opts[0] for one in ctx.command.params if one.name == name)
            raise UsageProblem(f"{typed} {why}")
