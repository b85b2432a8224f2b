"""Findings as somebody with an editor would change them: files rewritten, their hashes put into the manifest."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.authentication import KEY_NAME, code_with
from medaudit.artifacts.pseudonyms import load_key
from medaudit.artifacts.store import MANIFEST, canonical, file_sha256

Edit = Callable[[Any], Any]  # of a JSON body in place, or of a table to another


def forge(found: Path, out: Path, edits: Mapping[str, Edit], key: Path | None = None) -> Path:
    """A copy of an artifact at `out` with the files named edited and their hashes corrected.

    key: the site's key file, when who forges holds it: the authentication code is then corrected too.
    """
    shutil.copytree(found, out)
    for name, edit in edits.items():
        if name.endswith(".parquet"):
            pq.write_table(edit(pq.read_table(out / name)), out / name)
        else:
            body = json.loads((out / name).read_text())
            edit(body)
            (out / name).write_text(json.dumps(body))
    manifest = json.loads((out / MANIFEST).read_text())
    for name in manifest["files"]:
        manifest["files"][name] = file_sha256(out / name)
    (out / MANIFEST).write_text(canonical(manifest))
    return out if key is None else signed(out, key)


def signed(artifact: Path, key: Path | None = None) -> Path:
    """Give an artifact that a test wrote the code of a key, of the one beside it where none is given."""
    secret = load_key(key or artifact.parent / KEY_NAME)
    for name, text in code_with(secret)((artifact / MANIFEST).read_bytes()).items():
        (artifact / name).write_text(text)
    return artifact


def put(*path: str | int, value: Any) -> Edit:
    """Set one value deep in a JSON body."""

    def edit(body: Any) -> None:
        for part in path[:-1]:
            body = body[part]
        body[path[-1]] = value

    return edit


def both(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(body: Any) -> None:
        for one in edits:
            one(body)

    return edit


def column(name: str, value: Any) -> Edit:
    """Fill one column of a table with a value."""

    def edit(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        return table.set_column(place, field, pa.array([value] * len(table), type=field.type))

    return edit
