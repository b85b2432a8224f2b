"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option("--seed", help="Every random number of the run follows from it.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:0 ... or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, an npz file or a DICOMDIR.")]
Layout = Annotated[str, typer.Option("--layout", help="auto, or the name of a known layout.")]
Manifest = Annotated[
    Path | None,
    typer.Option("--manifest", help="CSV with the columns file and patient_id; overrides the layout."),
]
PatientRegex = Annotated[
    str | None,
    typer.Option(
        "--patient-regex", help="Regular expression whose first group is the patient, on file names."
    ),
]
CohortPath = Annotated[Path, typer.Argument(metavar="COHORT", help="A folder made by ingest.")]
Train = Annotated[Path, typer.Option("--train", help="Training cohort T: all of the model's patients.")]
Holdout = Annotated[Path, typer.Option("--holdout", help="Held-out cohort H: patients the model never saw.")]
Synthetic = Annotated[Path, typer.Option("--synthetic", help="Synthetic cohort S.")]
Model = Annotated[
    Path,
    typer.Option("--model", help="Model folder: medaudit's, diffusers' or a MONAI bundle with safetensors."),
]
CopyNetwork = Annotated[
    str | None,
    typer.Option(
        "--copy-network", help="`train`, or a path: a kept encoder's folder, or a safetensors file."
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist yet.")]
Config = Annotated[Path, typer.Option("--config", help="YAML file; see configs/.")]
OptionalConfig = Annotated[Path | None, typer.Option("--config", help="YAML file with audit settings.")]
