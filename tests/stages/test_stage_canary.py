"""Canaries: what tells a patient is planted in the inputs, the whole way is run, and nothing of it comes out.

The search below knows nothing of the linter: it unpacks every file by itself (PDF streams, base64, PNG, npz) and looks
for every canary in every spelling a file could hold.
"""

import base64
import hashlib
import io
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from audit_parts import QUICK, film, films
from PIL import Image
from reader_files import write_dicom

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.identities import read_identities
from medaudit.cli.app import run
from medaudit.images.intensity import to_depth

PATIENT, NAME, DATE, ACCESSION = "MRN8842716K", "Mueller^Annegret", "19610213", "ACC4711223344"
FOLDER = f"ward7/{PATIENT}_MUELLER_{DATE}"
PEOPLE = {"T and H": range(120), "S": range(900, 924)}
SHAPE = (36, 30)
SIDE = 32  # of the cohorts, in pixels


class Way:
    """One run from source to release, with all that it printed, and the canaries planted on the way."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind, self.said = folder, kind, ""
        self.source = folder / "in" / "films"
        self.hidden: dict[str, bytes] = {}

    def plant(self) -> None:
        """A source of real films, DICOM or PNG with metadata.csv, and one of synthetic images."""
        rng = np.random.Generator(np.random.Philox(99))
        rows = ["file,patient_id,accession,study_date"]
        for person in PEOPLE["T and H"]:
            for exposure in range(2 if person % 3 == 0 else 1):
                image = film(person, exposure)
                if person == 0:
                    image[4:20, 6:22] = rng.random((16, 16))  # a block that no other film holds
                mark = f"{PATIENT}-{person:03d}"
                where = self.source / f"{FOLDER}_{person:03d}" / f"IM{person:05d}x{exposure}"
                stored = np.round(image * 4095).astype(np.int32)
                if self.kind == "dicom":
                    tags = {
                        "PatientID": mark,
                        "PatientName": f"{NAME}{person}",
                        "StudyDate": DATE,
                        "StudyInstanceUID": f"1.2.826.0.1.3680043.9.8842716.{person}",
                        "SOPInstanceUID": f"1.2.826.0.1.3680043.9.{person}.{exposure}",
                    }
                    write_dicom(where.with_suffix(".dcm"), stored, AccessionNumber=ACCESSION, **tags)
                    data = where.with_suffix(".dcm").read_bytes()
                else:
                    where.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(to_depth(image, np.uint8)).save(where.with_suffix(".png"))
                    data = where.with_suffix(".png").read_bytes()
                    name = where.with_suffix(".png").relative_to(self.source)
                    rows.append(f"{name},{mark},{ACCESSION},{DATE}")
                if person == 0:
                    for make in (hashlib.sha256, hashlib.md5):
                        self.hidden[f"{make().name} of a file {exposure}"] = make(data).digest()
        if self.kind == "png":
            (self.source / "metadata.csv").write_text("\n".join(rows) + "\n")
        made = self.folder / "in" / "made"
        made.mkdir(parents=True)
        for place, image in enumerate(films(PEOPLE["S"])):
            Image.fromarray(to_depth(image, np.uint8)).save(made / f"{place:03d}.png")

    def call(
        self, capfd: pytest.CaptureFixture[str], *arguments: str, expected: tuple[int, ...] = (0,)
    ) -> None:
        """One command through the front door; what it prints is kept."""
        code = run([str(one) for one in arguments])
        out, err = capfd.readouterr()
        self.said += out + err
        assert code in expected, out + err

    def at(self, name: str) -> str:
        return str(self.folder / "work" / name)


@pytest.fixture(scope="module", params=["dicom", "png"])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    found = Way(tmp_path_factory.mktemp("canary"), request.param)
    found.plant()
    return found


def spellings(text: str) -> Iterator[bytes]:
    """A text as a file could hold it."""
    for form in {text, text.lower(), text.upper(), text.replace("^", " "), text.replace("/", "\\")}:
        yield from (form.encode(), form.encode("utf-16-le"), form.encode("utf-16-be"))


def canaries(way: Way) -> dict[str, list[bytes]]:
    words = [
        PATIENT,
        NAME,
        DATE,
        "1961-02-13",
        ACCESSION,
        FOLDER,
        "MUELLER_",
        "9.8842716",
        str(way.source),
        "IM00000x0",
    ]
    found = {word: list(spellings(word)) for word in words}
    for name, digest in way.hidden.items():
        found[name] = [digest, *spellings(digest.hex()), base64.b64encode(digest).rstrip(b"=")]
    cohort = open_cohort(Path(way.at("all")))
    known = {name: original for _, name, original in read_identities(Path(way.at("key.identities.jsonl")))}
    names = [known[name] for name in cohort.rows.column("file").to_pylist()]
    row = next(i for i, file in enumerate(names) if "IM00000x0" in file)
    film = np.asarray(cohort.pixels[row])
    for make in (hashlib.sha256, hashlib.md5):
        found[f"{make().name} of pixels"] = [
            make(film.tobytes()).digest(),
            *spellings(make(film.tobytes()).hexdigest()),
        ]
    stored = (
        (film.astype(np.uint32) * 2 * 4095 + np.iinfo(film.dtype).max) // (2 * np.iinfo(film.dtype).max)
    ).astype("<u2")
    middle = slice(8, 20)
    found["pixel block"] = [
        form[10, middle].tobytes()
        for form in (film, stored, (stored >> 4).astype(np.uint8), film.astype("<u2"))
    ]
    for pseudonym in set(cohort.rows.column("patient").to_pylist()):
        found[pseudonym] = [pseudonym.encode()]
    return found


def unpacked(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes and everything packed into them."""
    yield data
    if depth > 3:
        return
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from unpacked(archive.read(name), depth + 1)
        return
    if data[:4] == b"\x89PNG":
        with Image.open(io.BytesIO(data)) as picture:
            yield np.asarray(picture).tobytes()
            yield repr(sorted(picture.info.items(), key=str)).encode()
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            yield from unpacked(zlib.decompress(stream), depth + 1)
        except zlib.error:
            yield stream
    for block in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", data):
        try:
            yield from unpacked(base64.b64decode(block + b"=" * (-len(block) % 4)), depth + 1)
        except ValueError:
            continue


def hits(folder: Path, way: Way) -> list[str]:
    """Which canary stands in which file; the names of files count as well."""
    looked, wanted, found = 0, canaries(way), []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        looked += 1
        pieces = [path.relative_to(folder).as_posix().encode(), *unpacked(path.read_bytes())]
        joined = b"\n".join(pieces)
        found += [
            f"{word} in {path.name}"
            for word, forms in wanted.items()
            if any(form in joined for form in forms)
        ]
    assert looked >= 3
    return found


@pytest.mark.slow
def test_nothing_planted_comes_out(way: Way, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(
        yaml.safe_dump(
            {key: list(value) if isinstance(value, tuple) else value for key, value in QUICK.items()}
        )
    )
    (tmp_path / "forbid.txt").write_text(f"{ACCESSION}\n{PATIENT}\n{NAME}\n")
    at, forbid = way.at, ["--forbid", str(tmp_path / "forbid.txt")]
    way.call(capfd, "ingest", str(way.source), "--out", at("all"), "--size", str(SIDE), "--key", at("key"))
    way.call(capfd, "split", at("all"), "--train", at("T"), "--holdout", at("H"))
    made = str(way.folder / "in" / "made")
    way.call(
        capfd,
        "ingest",
        made,
        "--origin",
        "synthetic",
        "--out",
        at("S"),
        "--size",
        str(SIDE),
        "--key",
        at("key"),
    )
    both = ["--train", at("T"), "--holdout", at("H")]
    way.call(
        capfd,
        "audit",
        *both,
        "--synthetic",
        at("S"),
        "--out",
        at("A"),
        "--config",
        str(config),
        "--key",
        at("key"),
        expected=(0, 10, 20),
    )
    cohorts = ["--cohort", at("T"), "--cohort", at("H"), "--cohort", at("S")]
    site = ["--key", at("key")]
    way.call(capfd, "report", at("A"), "--out", at("out/report"), *cohorts, *forbid, *site, "--json")
    way.call(capfd, "report", at("A"), "--out", at("out/plain"), *site)
    body = json.loads(Path(at("out/report/report.json")).read_text())
    assert {cohort["role"] for cohort in body["numbers"]["cohorts"]} == {"train", "holdout", "synthetic"}
    assert body["verdict"] == "release-supported", body["numbers"]["audit"]["reasons"]
    for form in ("dicom", "png", "npz"):
        out = ["--out", at(f"out/{form}"), "--format", form]
        way.call(capfd, "release", "--synthetic", at("S"), "--audit", at("A"), *out, *both, *forbid, *site)
    assert hits(Path(at("out")), way) == []
    provoke_errors(way, capfd)
    printed = way.folder / "printed"
    printed.mkdir()
    # what the user typed may be repeated; and files that were refused are listed on the user's own screen, once
    refused = [line for line in way.said.splitlines() if line.startswith("- ") and "IM00999" in line]
    assert len(refused) == 1
    own = "\n".join(line for line in way.said.splitlines() if line not in refused)
    own = own.replace(str(way.source), "").replace(str(way.folder), "")
    for place in range(3):
        (printed / f"log{place}").write_text(own)
    assert [hit for hit in hits(printed, way) if str(way.source) not in hit] == []


def provoke_errors(way: Way, capfd: pytest.CaptureFixture[str]) -> None:
    """Broken inputs, a damaged artifact, and a defect inside a stage: errors and tracebacks are part of it."""
    at = way.at
    broken = way.folder / "in" / "broken" / f"{FOLDER}_999"
    broken.mkdir(parents=True)
    first = next(path for path in sorted(way.source.rglob("IM00000x0*")))
    (broken / f"IM00999{first.suffix}").write_bytes(first.read_bytes()[:300])
    way.call(
        capfd,
        "ingest",
        str(way.folder / "in" / "broken"),
        "--out",
        at("broken"),
        "--key",
        at("key"),
        expected=(2,),
    )
    way.call(capfd, "report", at("T"), "--out", at("no"), expected=(2,))
    way.call(
        capfd,
        "audit",
        "--train",
        at("T"),
        "--holdout",
        at("T"),
        "--synthetic",
        at("S"),
        "--out",
        at("no"),
        expected=(1, 2),
    )
    way.call(
        capfd, "report", at("A"), "--out", at("no"), "--cohort", at("all"), "--key", at("key"), expected=(1,)
    )
    assert not Path(at("no")).exists()


@pytest.mark.slow
def test_a_defect_shows_no_value(
    way: Way, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medaudit.stages import report

    def burst(*_: object, **__: object) -> None:
        patient = f"{PATIENT} {NAME} {ACCESSION}"
        raise RuntimeError(patient)

    monkeypatch.setattr(report, "open_evidence", burst)
    assert run(["report", way.at("A"), "--out", way.at("defect")]) == 1
    out, err = capfd.readouterr()
    assert "Defect" in err
    assert not any(word in out + err for word in (PATIENT, NAME, ACCESSION))
    assert sys.version_info >= (3, 11)
