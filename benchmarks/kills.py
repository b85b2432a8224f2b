"""Kill ingest, audit and release --sign at random moments, and fill their disk: resumed, they end in the same bytes.

    python benchmarks/kills.py --kills 60 --out reports/kills
    python benchmarks/kills.py --commands train generate --kills 10

Each command runs once undisturbed. Then it is started again in a fresh folder and killed with SIGKILL: each second time
at a moment drawn from its whole run, else from the part in which its draft lies on the disk, commit included. After the
kill the output is absent or whole, and called again it ends in the same bytes and leaves nothing beside them. The same
with a small disk that fills while the command runs (tmpfs, needs root): one line names it, and room is made then.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TRAIN_CONFIG = """\
steps: 120
batch: 16
checkpoint_minutes: 0.02
network: {channels: [16, 32]}
"""
AUDIT_CONFIG = "{plants: 10, permutations: 1000, bootstrap: 200, controls: quick}\n"
SHARES = (0.05, 0.35, 0.65, 0.9, 0.98)  # of the room that a command needs
OUT = "out"


def digest(folder: Path) -> str:
    """SHA-256 over names and bytes of every file of a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def started(arguments: list[str]) -> "subprocess.Popen[bytes]":
    """A command under way, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "medaudit.cli.app", *arguments, "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },  # small matrices; others share the cores
    )


def medaudit(arguments: list[str], kill_after_s: float | None = None) -> bool:
    """Run a command; True when it ended by itself, False when it was killed."""
    process = started(arguments)
    try:
        _, err = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    if process.returncode not in (0, 10, 20):
        sys.exit(f"{arguments[0]} failed: {err.decode()}")
    return True


def killed_in_draft(arguments: list[str], folder: Path, seconds: float) -> bool:
    """Kill a command so long after something of it was first seen in a folder; True when it ended by itself."""
    process = started(arguments)
    while process.poll() is None and not any(folder.iterdir()):
        time.sleep(0.002)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode != -signal.SIGKILL


def killed_and_resumed(arguments: list[str], moment_s: float, output: Path) -> tuple[str, bool, str]:
    """Kill a command at a moment and call it again: how the first ended, whether `output` stood then, its digest."""
    state = "had ended" if medaudit(arguments, moment_s) else "killed"
    visible = output.exists()
    medaudit(arguments)
    return state, visible, digest(output)


@dataclass(frozen=True)
class Command:
    """A command line, whose output is `out` in a folder of its own, and what its undisturbed run was like."""

    name: str
    arguments: list[str]
    seconds: float = 0.0
    draft_s: float = 0.0  # when its draft was first seen
    whole_s: float = 0.0  # when its output was
    digest: str = ""
    names: frozenset[str] = frozenset()  # what lies beside the output in the end, itself included
    room: int = 0  # bytes on the disk, at most, while it ran

    def in_folder(self, folder: Path) -> list[str]:
        """The same, to write in a folder."""
        return [one.replace("{folder}", str(folder)) for one in self.arguments]


def main() -> None:
    """Print one line per kill and full disk, and a table; exit 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT / "sample_data" / "dicom")
    parser.add_argument("--kills", type=int, default=60, help="over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", default=["ingest", "audit", "release"])
    parser.add_argument("--out", type=Path, default=None, help="folder for kills.json and kills.md")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="kills-"))
    rows = []
    try:
        for number, name in enumerate(options.commands):
            command = undisturbed(made(work, options.source, name), work)
            print(
                f"{name}: {command.seconds:.1f} s undisturbed, the draft from {command.draft_s:.1f} s on, "
                f"{command.room >> 10} KiB, {command.digest[:16]}",
                flush=True,
            )
            kills = options.kills // len(options.commands) + (number < options.kills % len(options.commands))
            row = {"command": name, **kill(command, kills, random.Random(f"{options.seed}/{name}"), work)}
            rows.append({**row, **fill(command, work)})
    finally:
        shutil.rmtree(work)
    print(markdown(rows))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "kills.json").write_text(
            json.dumps({"seed": options.seed, "rows": rows}, indent=1) + "\n"
        )
        (options.out / "kills.md").write_text(markdown(rows))
    sys.exit(1 if any(row["wrong"] for row in rows) else 0)


def made(work: Path, source: Path, name: str) -> Command:
    """A command and what it reads; what several of them read is made once."""
    key, w = work / "site.key", {one: work / one for one in ("all", "T", "H", "S", "model", "A", "fakes")}
    out = ["--out", f"{{folder}}/{OUT}"]
    ingest = ["ingest", str(source), "--size", "32", "--key", f"{key}"]
    if not w["all"].exists():
        medaudit([*ingest, "--out", str(w["all"])])
        people = ["--train-patients", "16", "--holdout-patients", "24"]
        medaudit(["split", str(w["all"]), "--train", str(w["T"]), "--holdout", str(w["H"]), *people])
    (work / "train.yaml").write_text(TRAIN_CONFIG)
    (work / "audit.yaml").write_text(AUDIT_CONFIG)
    train = ["train", "--cohort", str(w["T"]), "--config", str(work / "train.yaml")]
    if name == "ingest":
        return Command(name, [*ingest, *out])
    if name == "train":
        return Command(name, [*train, *out])
    if name == "generate":
        medaudit([*train, "--out", str(w["model"])])
        return Command(name, ["generate", "--model", str(w["model"]), "--count", "40", *out])
    if name == "audit":
        fakes(w["fakes"])
        medaudit(["ingest", str(w["fakes"]), "--origin", "synthetic", "--size", "32", "--out", str(w["S"])])
        sides = ["--train", str(w["T"]), "--holdout", str(w["H"]), "--synthetic", str(w["S"])]
        return Command(name, ["audit", *sides, "--config", str(work / "audit.yaml"), *out])
    return Command(name, [*released(work / "release"), *out])


def fakes(folder: Path, count: int = 8) -> None:
    """Films of phantoms whom sample_data does not know, in the part of a synthetic cohort."""
    import numpy as np
    from PIL import Image

    from medaudit.images.phantom import phantom

    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.uint8(phantom(1000 + number, 0, (96, 80)) * 255)).save(
            folder / f"{number:02d}.png"
        )


def released(folder: Path) -> list[str]:
    """`release --sign` of 60 images, under an audit as the tests write it: one that clears them."""
    sys.path.insert(0, str(ROOT / "tests" / "stages"))
    import release_parts

    release_parts.IMAGES, release_parts.Y, release_parts.X = 60, 64, 64
    cohort = release_parts.make_cohort(folder / "S")
    release_parts.make_audit(folder / "A", cohort.id)
    medaudit(["keygen", "--out", str(folder / "site")])
    sign = ["--sign", str(folder / "site.key"), "--date", "20261124", "--text", "off"]
    return ["release", "--synthetic", str(folder / "S"), "--audit", str(folder / "A"), *sign]


def undisturbed(command: Command, work: Path) -> Command:
    """The command with what its run was like; its output stays at `work`/whole-NAME."""
    folder = work / f"whole-{command.name}"
    folder.mkdir()
    began, draft_s, whole_s, room = time.monotonic(), 0.0, 0.0, 0
    process = started(command.in_folder(folder))
    while process.poll() is None:
        room = max(room, _bytes(folder))
        if not draft_s and any(folder.iterdir()):
            draft_s = time.monotonic() - began
        if not whole_s and (folder / OUT).exists():
            whole_s = time.monotonic() - began
        time.sleep(0.01)
    seconds = time.monotonic() - began
    if process.returncode not in (0, 10, 20):
        sys.exit(f"{command.name} failed: {process.communicate()[1].decode()}")
    names = frozenset(path.name for path in folder.iterdir())
    return Command(
        command.name,
        command.arguments,
        seconds,
        draft_s,
        whole_s or seconds,
        digest(folder / OUT),
        names,
        max(room, _bytes(folder)),
    )


def kill(command: Command, kills: int, draw: random.Random, work: Path) -> dict[str, Any]:
    """Kill the command so often, each time resumed: how often it was killed in its run, and how often all was right."""
    killed = with_draft = with_output = same = number = 0
    wrong = []
    while killed < kills and number < 4 * kills:  # some end before their moment comes
        number += 1
        folder = work / "again"
        folder.mkdir()
        arguments = command.in_folder(folder)
        share = draw.random()
        if number % 2:
            ended = killed_in_draft(arguments, folder, share * 1.1 * (command.whole_s - command.draft_s))
        else:
            ended = medaudit(arguments, share * command.seconds)
        drafted, stood = any(path.name != OUT for path in folder.iterdir()), (folder / OUT).exists()
        problem = half(folder / OUT)
        medaudit(arguments)
        problem = problem or compared(command, folder)
        killed, with_draft = killed + (not ended), with_draft + (drafted and not ended)
        with_output += stood and not ended
        same += not problem
        wrong += [f"{command.name} kill {number}: {problem}"] if problem else []
        how = (
            "had ended"
            if ended
            else f"killed{', a draft lay there' if drafted else ''}{', the output stood' if stood else ''}"
        )
        print(
            f"{number:2d} {command.name:8s} {how}; {problem or 'the same bytes, nothing beside'}",
            flush=True,
        )
        shutil.rmtree(folder)
    return {
        "kills": killed,
        "with_draft": with_draft,
        "with_output": with_output,
        "ended_before": number - killed,
        "same": same,
        "wrong": wrong,
    }


def fill(command: Command, work: Path) -> dict[str, Any]:
    """Give the command a disk that fills at several points; then room, and the same command again."""
    full = same = 0
    wrong = []
    for share in SHARES:
        with small_disk(work / "disk", int(command.room * share)) as larger:
            if larger is None:
                print("a small disk cannot be mounted here: full disks were not tried", flush=True)
                return {"full_disks": 0, "full_same": 0, "wrong": wrong}
            arguments = command.in_folder(work / "disk")
            process = started(arguments)
            said = process.communicate()[1].decode()
            problem = half(work / "disk" / OUT)
            if process.returncode in (0, 10, 20):
                said = "it had room enough"
            elif process.returncode != 1 or said.count("\n") != 1 or not said.startswith("StorageFull: "):
                problem = problem or f"exit {process.returncode}, {said.strip()[-200:]!r}"
            full += process.returncode == 1
            larger()
            medaudit(arguments)
            problem = problem or compared(command, work / "disk")
            same += not problem
            wrong += [f"{command.name} on {share:.0%} of its room: {problem}"] if problem else []
            print(
                f"   {command.name:8s} {share:4.0%} of its room; {problem or said.split(': ')[0].strip()}",
                flush=True,
            )
    return {"full_disks": full, "full_same": same, "wrong": wrong}


def half(out: Path) -> str:
    """What is wrong with an output that must be absent or whole."""
    from medaudit.artifacts.store import open_artifact
    from medaudit.errors import MedauditError

    if not out.exists():
        return ""
    try:
        open_artifact(out)
    except MedauditError as error:
        return f"half an output: {error}"
    return ""


def compared(command: Command, folder: Path) -> str:
    """What is different from the undisturbed run, in the output and beside it."""
    if (found := digest(folder / OUT)) != command.digest:
        return f"other bytes: {found[:16]}"
    left = {path.name for path in folder.iterdir()} - command.names
    return f"left behind: {sorted(left)}" if left else ""


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Any]:
    """A file system of so many bytes at `place`: yields what makes it large, None where it cannot be mounted."""
    place.mkdir(exist_ok=True)
    options = f"size={max(1, size >> 12) << 12}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        yield None
        return
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=256m", str(place)], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table for readers."""
    lines = [
        "| command | killed | with a draft on the disk | after the output stood | ended before | the same bytes "
        "| full disks | the same bytes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = (
        "command",
        "kills",
        "with_draft",
        "with_output",
        "ended_before",
        "same",
        "full_disks",
        "full_same",
    )
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _bytes(folder: Path) -> int:
    """Room that the files of a folder take in pages of 4 KiB, folders included."""
    total = 0
    for path in (folder, *folder.rglob("*")):
        try:
            total += (path.stat().st_size + 4095) & ~4095 if path.is_file() else 4096
        except OSError:
            continue
    return total


if __name__ == "__main__":
    main()
