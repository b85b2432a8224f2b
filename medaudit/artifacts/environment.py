"""On what kind of machine, and with which packages, findings were made; nothing that names the machine or its owner."""

import hashlib
import platform
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def environment(processor: str) -> dict[str, Any]:
    """Kind of machine, Python, and a hash over the versions of all packages that medaudit runs on.

    `processor` is a torch device such as `cpu` or `cuda:1`, of which the kind is kept. `packages_sha256` is the SHA-256
    of the lines `name==version`, sorted, each with its line end; None where medaudit is not installed as a package.
    """
    packages = _packages()
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(packages.items()))
    return {
        "system": platform.system() or "unknown",
        "architecture": platform.machine() or "unknown",
        "processor": processor.split(":")[0],
        "python": platform.python_version(),
        "packages": len(packages),
        "packages_sha256": hashlib.sha256(lines.encode()).hexdigest() if packages else None,
    }


def _packages() -> dict[str, str]:
    """Normalised name (PEP 503) → version of medaudit and of what it requires, extras aside, as installed."""
    found: dict[str, str] = {}
    waiting = ["medaudit"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            package: Distribution = distribution(name)
        except PackageNotFoundError:  # wanted on another platform
            continue
        found[name] = package.version
        for wanted in package.requires or ():
            match = _NAME.match(wanted)
            if match and "extra ==" not in wanted:
                waiting.append(match.group())
    return found
