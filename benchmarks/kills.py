"""Kill ingest, train, generate and audit at random moments; every resumed run must end in the same bytes.

    python benchmarks/kills.py --source sample_data/dicom --kills 20

Each command runs once undisturbed. Then it is started again in a fresh folder, killed with SIGKILL at a moment
drawn uniformly from the undisturbed run's time, called again with the same arguments until it ends, and the
SHA-256 of every file is compared.
"""

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN_CONFIG = """\
steps: 120
batch: 16
checkpoint_minutes: 0.02
network: {channels: [16, 32]}
"""


def digest(folder: Path) -> str:
    """SHA-256 over names and bytes of every file of a folder."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def medaudit(arguments: list[str], kill_after_s: float | None = None) -> bool:
    """Run a command; True when it ended by itself, False when it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "medaudit.cli.app", *arguments, "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, err = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    if process.returncode not in (0, 10, 20):
        sys.exit(f"{arguments[0]} failed: {err.decode()}")
    return True


def killed_and_resumed(arguments: list[str], moment_s: float, output: Path) -> tuple[str, bool, str]:
    """Kill a command at a moment and call it again: how the first ended, whether `output` stood then, its digest."""
    state = "had ended" if medaudit(arguments, moment_s) else "killed"
    visible = output.exists()
    medaudit(arguments)
    return state, visible, digest(output)


def main() -> None:
    """Print one line per kill and a summary; exit 1 when any hash differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, default=Path("sample_data/dicom"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    work = Path(tempfile.mkdtemp(prefix="kills-"))
    config = work / "train.yaml"
    config.write_text(TRAIN_CONFIG)
    key = work / "site.key"
    w = {name: str(work / name) for name in ("all", "T", "H", "model", "S", "A")}
    commands = {
        "ingest": ["ingest", str(options.source), "--size", "64", "--key", str(key), "--out", w["all"]],
        "split": ["split", w["all"], "--train", w["T"], "--holdout", w["H"]],
        "train": ["train", "--cohort", w["T"], "--config", str(config), "--out", w["model"]],
        "generate": ["generate", "--model", w["model"], "--count", "40", "--out", w["S"]],
        "audit": ["audit", "--train", w["T"], "--holdout", w["H"], "--synthetic", w["S"], "--out", w["A"]],
    }
    targets = {"ingest": "all", "train": "model", "generate": "S", "audit": "A"}
    seconds, hashes = {}, {}
    for name, arguments in commands.items():
        began = time.monotonic()
        medaudit(arguments)
        seconds[name] = time.monotonic() - began
        if name in targets:
            hashes[name] = digest(Path(w[targets[name]]))
            print(f"{name}: {seconds[name]:.1f} s undisturbed, {hashes[name][:16]}", flush=True)
    same = 0
    for number in range(options.kills):
        name = list(targets)[number % len(targets)]
        again = work / f"again-{number}"
        arguments = [str(again) if part == w[targets[name]] else part for part in commands[name]]
        moment = draw.uniform(0.02, 0.9) * seconds[name]
        state, visible, found = killed_and_resumed(arguments, moment, again)
        equal = found == hashes[name]
        same += equal
        print(
            f"{number + 1:2d} {name:8s} {state} after {moment:5.1f} s; output visible then: {visible}; "
            f"same bytes after resume: {equal}",
            flush=True,
        )
        shutil.rmtree(again)
    shutil.rmtree(work)
    print(f"{same} of {options.kills} resumed runs ended in the same bytes")
    sys.exit(0 if same == options.kills else 1)


if __name__ == "__main__":
    main()
