"""Break thousands of files of every kind that medaudit reads, and see that each is read or refused in one line.

    python benchmarks/fuzz.py --files 2000 --seed 0 --out reports/fuzz
    python benchmarks/fuzz.py --kinds npz --files 200        # one kind; the table of the others is kept

Each file goes the way that a user's would: the command line runs in a process of its own that is watched from here,
one file after the other, and a sample of every kind is given to the program itself. A defect is a traceback, `Defect:`,
more than one line, a crash, more than 10 s of processor time, more than 1 GiB of memory, or a result that is not whole.
The same seed gives the same files and the same table, apart from memory and times.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

MOST_S, MOST_BYTES = 10.0, 1 << 30
_PATIENCE_S = 120.0  # of wall time, where other processes share the machine
_TICK = os.sysconf("SC_CLK_TCK")
_VERDICTS = (0, 10, 20)
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}  # processor time is counted, and others wait for it


def judged(case: Any, code: int, said: str, before: set[str]) -> tuple[str, str]:
    """(`read`, `refused` or `defect`, why) of one command that ended by itself."""
    from medaudit.artifacts.store import open_artifact
    from medaudit.errors import MedauditError

    lines = said.strip().splitlines()
    last = lines[-1] if lines else ""
    if "Traceback" in said or last.startswith(("Defect:", "MemoryFull:")):
        return "defect", last[:200]
    if code not in _VERDICTS and (len(lines) != 1 or code not in (1, 2)):
        return "defect", f"exit {code} with {len(lines)} lines: {last[:120]}"
    folder = Path(case.arguments[case.arguments.index("--out") + 1]).parent if case.out is not None else None
    if folder is not None:
        left = {path.name for path in folder.iterdir()} - before - {case.out.name}
        if left:
            return "defect", f"left behind: {sorted(left)[0]}"
        if case.out.exists():
            try:
                open_artifact(case.out)
                wrong = case.lost(case.out) or ("" if code in _VERDICTS else "a result beside an error")
            except MedauditError as error:
                wrong = f"a result that is not whole ({type(error).__name__})"
            if wrong:
                return "defect", wrong
            return ("refused" if case.refused(case.out) else "read"), ""
    name = last.split(":")[0]
    if code in _VERDICTS or (name == "ArtifactKindMismatch" and "films has no manifest" in last):
        return "read", ""  # a config that can be read is told by what comes after it
    return "refused", name


def work(kind: str, first: int, options: argparse.Namespace) -> None:
    """The watched process: one JSON line when a file is begun and one when it is done."""
    import fuzz_cases as cases

    from medaudit.cli.app import run

    report = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)  # C libraries write there
    site = Path(options.work) / "site"
    arrange = cases.KINDS[kind]
    warm(kind, site, Path(options.work) / "warm", run)
    most = int(_status("VmSize")) * 1024 + (2 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for number in range(first, options.files):
        folder = Path(options.work) / "file"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case = arrange(site, folder, number, cases.draw_of(options.seed, kind, number))
        before = {path.name for path in folder.iterdir()}
        print(json.dumps({"begin": number}), file=report)
        for one in _processes():
            Path(f"/proc/{one}/clear_refs").write_text("5")  # the highest mark of memory starts anew
        began, said = time.process_time(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run([*case.arguments, "-q"])
        took, memory = (
            time.process_time() - began,
            sum(int(_status("VmHWM", one)) for one in _processes()) * 1024,
        )
        result, why = judged(case, code, said.getvalue(), before)
        if took > MOST_S or memory > MOST_BYTES:
            result, why = "defect", f"{took:.0f} s" if took > MOST_S else f"{memory >> 20} MiB"
        line = {"done": number, "result": result, "why": why, "code": code, "seconds": took, "memory": memory}
        print(json.dumps(line), file=report)


def warm(kind: str, site: Path, folder: Path, run: Any) -> None:
    """Load what the kind's commands load, so that imports count for no file."""
    shutil.rmtree(folder, ignore_errors=True)
    commands = {
        "safetensors": [
            ["generate", "--model", str(site / name), "--count", "1", "--device", "cpu"] for name in "MD"
        ],
        "manifest.json": [["report", str(site / "A")]],
        "audit.json": [["report", str(site / "A")]],
    }
    default = [["ingest", str(site / "films"), "--key", str(site / "site.key")]]
    for number, command in enumerate(commands.get(kind, default)):
        run([*command, "--out", str(folder / str(number)), "-q"])
    if kind == "certificate.json" or kind == "manifest.json":
        run(["verify", str(site / "R"), "-q"])


def fuzz(kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every file of a kind, the process started again after each crash or hang."""
    done: list[dict[str, Any]] = []
    while len(done) < options.files:
        worker = subprocess.Popen(
            [sys.executable, __file__, "--worker", kind, "--first", str(len(done)), *_same(options)],
            stdout=subprocess.PIPE,
        )
        begun: tuple[float, float] | None = None
        buffer = b""
        why = ""
        assert worker.stdout is not None
        while not why:
            ready, _, _ = select.select([worker.stdout], [], [], 1.0)
            if ready:
                data = os.read(worker.stdout.fileno(), 1 << 16)
                if not data:
                    why = f"the process ended ({worker.wait()})"
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in map(json.loads, lines):
                    if "begin" in line:
                        begun = (time.monotonic(), _processor_s(worker.pid))
                    else:
                        done.append(line)
                        begun = None
            if begun is not None:
                used, waited = _processor_s(worker.pid) - begun[1], time.monotonic() - begun[0]
                if used > MOST_S + 2 or waited > _PATIENCE_S:
                    why = f"no end after {used:.0f} s of processor time"
        worker.kill()
        worker.wait()
        if len(done) < options.files:
            if begun is None:
                sys.exit(f"{kind}: the worker cannot be started: {why}")
            done.append(
                {"done": len(done), "result": "defect", "why": why, "code": -1, "seconds": 0.0, "memory": 0}
            )
    return done


def as_a_process(kind: str, known: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """A sample of the files given to the program itself: what differs from what was found in the watched process."""
    import fuzz_cases as cases

    different = []
    step = max(1, options.files // max(1, options.processes))
    for number in range(0, options.files, step)[: options.processes]:
        folder = Path(options.work) / "process"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case = cases.KINDS[kind](
            Path(options.work) / "site", folder, number, cases.draw_of(options.seed, kind, number)
        )
        before = {path.name for path in folder.iterdir()}
        command = [sys.executable, "-m", "medaudit.cli.app", *case.arguments, "-q"]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
            result, why = judged(case, ended.returncode, ended.stderr, before)
        except subprocess.TimeoutExpired:
            result, why = "defect", "no end"
        if (result, why) != (known[number]["result"], known[number]["why"]) or result == "defect":
            different.append(
                f"file {number}: {result} {why}; in the watched process {known[number]['result']}"
            )
    return different


def replay(options: argparse.Namespace) -> None:
    """Run the command of one file here, on the screen, and keep the folder."""
    import fuzz_cases as cases

    from medaudit.cli.app import run

    os.environ["MEDAUDIT_TRACEBACK"] = "1"
    kind, number, work = options.kinds[0], options.replay, Path(tempfile.mkdtemp(prefix="fuzz-"))
    cases.make_site(work / "site")
    (work / "file").mkdir()
    draw = cases.draw_of(options.seed, kind, number)
    case = cases.KINDS[kind](work / "site", work / "file", number, draw)
    print(" ".join(["medaudit", *case.arguments]), flush=True)
    print("exit", run([*case.arguments, "-q"]))


def summary(
    kind: str, found: list[dict[str, Any]], sampled: int, different: list[str], wall_s: float
) -> dict[str, Any]:
    """A kind's row of the table."""
    counts = {name: sum(line["result"] == name for line in found) for name in ("refused", "read", "defect")}
    return {
        "kind": kind,
        "files": len(found),
        "refused": counts["refused"],
        "read": counts["read"],
        "defects": counts["defect"],
        "largest_memory_mib": max(line["memory"] for line in found) >> 20,
        "longest_s": round(max(line["seconds"] for line in found), 2),
        "as_processes": sampled,
        "processes_that_differ": different,
        "examples": [f"file {line['done']}: {line['why']}" for line in found if line["result"] == "defect"][
            :20
        ],
        "wall_s": round(wall_s, 1),
    }


def markdown(rows: list[dict[str, Any]], seed: int) -> str:
    """The table for readers."""
    lines = [
        f"Broken files, seed {seed}: `python benchmarks/fuzz.py --seed {seed}` makes them again.",
        "",
        "| kind | files | refused | read | defects | of these as a process | largest memory, MiB | longest, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        names = (
            "kind",
            "files",
            "refused",
            "read",
            "defects",
            "as_processes",
            "largest_memory_mib",
            "longest_s",
        )
        lines.append("| " + " | ".join(str(row[name]) for name in names) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table; exit 1 when there is a defect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=None)
    parser.add_argument("--processes", type=int, default=10, help="of each kind, given to the program itself")
    parser.add_argument("--out", type=Path, default=None, help="folder for fuzz.json and fuzz.md")
    parser.add_argument(
        "--replay", type=int, default=None, help="show one file of --kinds, with its traceback"
    )
    parser.add_argument("--work", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--worker", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None:
        replay(options)
        return
    if options.worker:
        work(options.worker, options.first, options)
        return
    import fuzz_cases as cases

    base = "/dev/shm" if Path("/dev/shm").is_dir() else None  # each result is synced to its disk
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=base) as options.work:
        cases.make_site(Path(options.work) / "site")
        rows = _kept(options)
        for kind in options.kinds or list(cases.KINDS):
            began = time.monotonic()
            found = fuzz(kind, options)
            different = as_a_process(kind, found, options)
            row = summary(
                kind, found, min(options.processes, options.files), different, time.monotonic() - began
            )
            rows = [*(one for one in rows if one["kind"] != kind), row]
            print(json.dumps(row), flush=True)
            rows.sort(key=lambda row: list(cases.KINDS).index(row["kind"]))
            write(rows, options)
    print(markdown(rows, options.seed))
    sys.exit(1 if any(row["defects"] or row["processes_that_differ"] for row in rows) else 0)


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """What is known so far."""
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        body = {"seed": options.seed, "kinds": rows}
        (options.out / "fuzz.json").write_text(json.dumps(body, indent=1) + "\n")
        (options.out / "fuzz.md").write_text(markdown(rows, options.seed))


def _kept(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of an earlier run of other kinds with the same seed and number of files."""
    path = options.out / "fuzz.json" if options.out is not None else None
    if path is None or not path.is_file():
        return []
    body = json.loads(path.read_text())
    return [row for row in body["kinds"] if body["seed"] == options.seed and row["files"] == options.files]


def _same(options: argparse.Namespace) -> list[str]:
    return ["--files", str(options.files), "--seed", str(options.seed), "--work", str(options.work)]


def _processes() -> list[str]:
    """This process and its children: the helper that decodes what may crash."""
    own = str(os.getpid())
    return [own, *Path(f"/proc/{own}/task/{own}/children").read_text().split()]


def _status(name: str, process: str = "self") -> str:
    """A line of /proc/PID/status, in KiB; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return "0"
    return next((line.split()[1] for line in lines if line.startswith(f"{name}:")), "0")


def _processor_s(process: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


if __name__ == "__main__":
    main()
