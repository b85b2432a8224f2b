"""Which commit of medaudit runs: from the installed package's record, or from the checkout it runs in."""

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def commit() -> str | None:
    """The commit's hash; None where neither an installation from version control nor a checkout names one."""
    return _installed() or _checked_out(Path(__file__).resolve().parents[2])


def _installed() -> str | None:
    # PEP 610: direct_url.json of an installation from version control
    try:
        text = distribution("medaudit").read_text("direct_url.json")
        found = json.loads(text or "{}").get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and _COMMIT.fullmatch(found) else None


def _checked_out(root: Path) -> str | None:
    """The commit that HEAD points to (gitrepository-layout); read from files, nothing is run."""
    try:
        git = root / ".git"
        if git.is_file():  # a linked worktree
            git = (root / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head if _COMMIT.fullmatch(head) else None
        name = head.removeprefix("ref: ")
        shared = git / "commondir"
        places = [git, (git / shared.read_text().strip()).resolve()] if shared.is_file() else [git]
        for place in places:
            if (place / name).is_file():
                found = (place / name).read_text().strip()
                return found if _COMMIT.fullmatch(found) else None
        packed = (places[-1] / "packed-refs").read_text().splitlines()
        found = next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
        return found if _COMMIT.fullmatch(found) else None
    except (OSError, ValueError):
        return None
