"""What a user would do with each kind of broken file: the folder it lies in and the command that meets it."""

import random
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fuzz_mutations as mutations
import fuzz_seeds as seeds

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.pseudonyms import load_key, pseudonym
from medaudit.artifacts.store import open_artifact

KEY = "0123456789abcdef" * 4


@dataclass(frozen=True)
class Case:
    """A broken file in its place: the command line, the folder it would write, and what must hold when it wrote it.

    `lost(out)` is what is wrong with a result, empty when nothing is; `refused(out)` whether the result counts the
    broken file as refused.
    """

    arguments: list[str]
    out: Path | None
    lost: Callable[[Path], str] = lambda out: ""
    refused: Callable[[Path], bool] = lambda out: False


class Edit:
    """A mutation that chooses its member of an archive itself."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def choose(self, members: list) -> object:
        """One of the members."""
        return self.draw.choice(members)

    def __call__(self, data: bytes) -> bytes:
        return mutations.mutated([data], self.draw)


def draw_of(seed: int, kind: str, number: int) -> random.Random:
    """The random numbers of one file."""
    return random.Random(f"{seed}/{kind}/{number}")


def images(kind: str, ending: str, files: list[bytes]) -> Callable[[Path, Path, int, random.Random], Case]:
    """A broken image beside a good one: the good one must come through, the broken one be read or counted."""
    good, sides = seeds.pictures("PNG")[1], (*seeds.SHAPE, 96, 80)

    def arrange(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
        data = mutations.mutated(files, draw, sides)
        if kind == "PNG" and draw.random() < 0.7:
            data = mutations.png_repaired(data)
        if kind == "DICOM" and draw.random() < 0.1:
            data = seeds.deflate_again(files[-3], Edit(draw))
        _write(folder / "films" / f"broken{ending}", data)
        _write(folder / "films" / "good.png", good)
        return _ingest(site, folder, [str(folder / "films")], [f"broken{ending}", "good.png"])

    return arrange


def archive(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken npz, ingested; half of them broken in one member, with checksums that fit."""
    files = seeds.archives()
    inside = draw.random() < 0.5
    data = seeds.zip_again(draw.choice(files), Edit(draw)) if inside else mutations.mutated(files, draw)
    _write(folder / "films.npz", data)
    return _ingest(site, folder, [str(folder / "films.npz")])


def table(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken table: given with --manifest, or lying beside the films as metadata.csv."""
    data, films = (
        mutations.mutated_text(seeds.tables(), draw),
        [f"{number}.png" for number in range(seeds.IMAGES)],
    )
    shutil.copytree(site / "films", folder / "films")
    if number % 2:
        _write(folder / "films" / "metadata.csv", data)
        return _ingest(site, folder, [str(folder / "films")], films)
    _write(folder / "table.csv", data)
    return _ingest(site, folder, [str(folder / "films"), "--manifest", str(folder / "table.csv")], films)


def config(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken config of `train` or `audit`; one that can be read is told by what comes next, which is no cohort."""
    _write(folder / "config.yaml", mutations.mutated_text(seeds.configs(), draw))
    none, out = str(site / "films"), folder / "out"
    sides = ["--train", none, "--holdout", none, "--synthetic", none]
    command = ["audit", *sides] if number % 2 else ["train", "--cohort", none]
    return Case([*command, "--config", str(folder / "config.yaml"), "--out", str(out)], out)


def weights(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """Broken safetensors: in a medaudit model as it stands or with hashes that fit, or in a diffusers folder."""
    model = folder / "model"
    shutil.copytree(site / ("D" if number % 2 else "M"), model)
    file = next(model.rglob("*.safetensors"))
    data, length = file.read_bytes(), int.from_bytes(file.read_bytes()[:8], "little")
    if draw.random() < 0.5:  # in the header, with a length that fits
        head = mutations.mutated_json([data[8 : 8 + length]], draw)
        data = len(head).to_bytes(8, "little") + head + data[8 + length :]
    else:
        data = mutations.mutated([data], draw)
    file.write_bytes(data)
    if number % 4 == 0:
        seeds.rehash(model)
    out = folder / "S"
    return Case(
        ["generate", "--model", str(model), "--count", "1", "--device", "cpu", "--out", str(out)], out
    )


def manifest(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken manifest.json of a cohort that is split, of findings that are reported or of a release."""
    return _of_artifact(site, folder, "SAR"[number % 3], "manifest.json", draw, rehashed=False)


def certificate(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken certificate.json of a release that is verified; half of them with a manifest that fits."""
    return _of_artifact(site, folder, "R", "certificate.json", draw, rehashed=bool(number % 2))


def findings(site: Path, folder: Path, number: int, draw: random.Random) -> Case:
    """A broken audit.json of findings that are reported; most of them with a manifest that fits."""
    return _of_artifact(site, folder, "A", "audit.json", draw, rehashed=bool(number % 4))


KINDS: dict[str, Callable[[Path, Path, int, random.Random], Case]] = {
    "DICOM": images("DICOM", ".dcm", seeds.dicoms()),
    "PNG": images("PNG", ".png", seeds.pictures("PNG")),
    "JPEG": images("JPEG", ".jpg", seeds.pictures("JPEG")),
    "TIFF": images("TIFF", ".tif", seeds.pictures("TIFF")),
    "npz": archive,
    "CSV": table,
    "YAML": config,
    "safetensors": weights,
    "manifest.json": manifest,
    "certificate.json": certificate,
    "audit.json": findings,
}


def make_site(site: Path) -> None:
    """What the cases share: films, a key, cohort S, audit A, release R, models M and D."""
    from medaudit.cli.app import run

    sys.path.insert(0, str(seeds.ROOT / "tests" / "stages"))
    from release_parts import make_audit, make_cohort

    for number, data in enumerate(seeds.pictures("PNG")[:4]):
        _write(site / "films" / f"{number}.png", data)
    _write(site / "site.key", KEY.encode())
    (site / "site.key").chmod(0o600)
    cohort = make_cohort(site / "S")
    make_audit(site / "A", cohort.id)
    release = [
        "release",
        "--synthetic",
        site / "S",
        "--audit",
        site / "A",
        "--format",
        "png",
        "--text",
        "off",
        "-q",
    ]
    if run([str(one) for one in (*release, "--out", site / "R")]) != 0:
        sys.exit("the release that is to be broken could not be made")
    seeds.write_model(site / "M")
    seeds.write_diffusers(site / "D")


def _of_artifact(
    site: Path, folder: Path, which: str, name: str, draw: random.Random, *, rehashed: bool
) -> Case:
    artifact = folder / which
    shutil.copytree(site / which, artifact)
    file = artifact / name
    file.write_bytes(mutations.mutated_json([file.read_bytes()], draw))
    if rehashed:
        seeds.rehash(artifact)
    if which == "R":
        return Case(["verify", str(artifact)], None)
    out = folder / "out"
    if which == "A":
        return Case(["report", str(artifact), "--out", str(out)], out)
    return Case(
        [
            "split",
            str(artifact),
            "--train",
            str(out),
            "--holdout",
            str(folder / "H"),
            "--one-image-one-patient",
        ],
        None,
    )


def _ingest(site: Path, folder: Path, source: list[str], films: Sequence[str] = ()) -> Case:
    out = folder / "C"
    arguments = [
        "ingest",
        *source,
        "--size",
        "32",
        "--key",
        str(site / "site.key"),
        "--out",
        str(out),
        "--workers",
        "1",
        "--accept-refused",
    ]

    def lost(cohort: Path) -> str:
        found = open_cohort(cohort)
        key = load_key(site / "site.key")  # a cohort holds names of files as pseudonyms
        refused = dict(found.artifact.manifest["refused"]["files"])
        names = {pseudonym(key, name, kind="file") for name in films}
        if names - set(refused) - set(found.rows.column("file").to_pylist()):
            return "an image is neither read nor counted"
        good = refused.get(pseudonym(key, "good.png", kind="file"), "duplicate file")
        return "a good image was refused" if good != "duplicate file" else ""

    return Case(
        arguments,
        out,
        lost,
        lambda cohort: bool(open_artifact(cohort, verify=False).manifest["refused"]["files"]),
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
