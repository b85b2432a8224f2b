"""The JSON Schema of report.json (2020-12), made from the document model; the package carries it as a file.

`python -m medaudit.render.schema > FILE` writes it anew into schemas/report-1.json; a test holds the two together.
"""

import json
import sys
from importlib.resources import files
from typing import Any

from medaudit.render.document import SCHEMA, Document
from medaudit.render.facts import Summary

NAME = "report-1.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> dict[str, Any]:
    """The schema as it lies in the package."""
    return json.loads(files("medaudit.render").joinpath("schemas", NAME).read_text(encoding="utf-8"))


def made() -> dict[str, Any]:
    """The schema as the model says it: pictures by their digest, `numbers` as the facts they are."""
    body = Document.model_json_schema(mode="serialization")
    parts = body.pop("$defs")
    figure = parts["Figure"]
    figure["properties"].pop("picture")
    figure["properties"]["sha256"] = _digest(
        "Of the picture's bytes; the picture is in the HTML and the PDF."
    )
    figure["required"] = [name for name in figure["required"] if name != "picture"] + ["sha256"]
    facts = Summary.model_json_schema(mode="serialization")
    parts |= facts.pop("$defs")
    body["properties"]["numbers"] = facts
    head = {
        "schema": {
            "const": SCHEMA,
            "description": "Changes when a field is removed or means something else.",
        },
        "document_sha256": _digest("Of the canonical JSON of all that follows: the report's hash."),
    }
    body["properties"] = {**head, **body["properties"]}
    body["required"] = [*head, *body["required"]]
    return {"$schema": _DIALECT, "$id": "urn:medaudit:report:1", **body, "$defs": dict(sorted(parts.items()))}


def _digest(words: str) -> dict[str, str]:
    return {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": f"SHA-256, hexadecimal. {words}"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(made(), indent=1, ensure_ascii=False) + "\n")
