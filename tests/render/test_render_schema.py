"""report.json fits the JSON Schema that the package publishes, and the schema is the model's."""

import json

import jsonschema
import pytest
import report_samples as samples

from medaudit.render import build, schema

VALIDATOR = jsonschema.Draft202012Validator(schema.published())


def test_the_schema_in_the_package_is_current() -> None:
    assert schema.published() == schema.made(), "write it anew: python -m medaudit.render.schema"
    jsonschema.Draft202012Validator.check_schema(schema.published())


@pytest.mark.parametrize("case", ["refused", "supported", "inconclusive", None])
def test_reports_fit(case: str | None) -> None:
    summary = samples.summary(case, None if case == "supported" else samples.extraction())
    body = json.loads(build.shareable(summary).to_json())
    assert [error.message for error in VALIDATOR.iter_errors(body)] == []
    assert len(body["sections"]) > 8


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(verdict="safe"),
        lambda body: body.update(more=1),
        lambda body: body.pop("document_sha256"),
        lambda body: body["numbers"]["audit"]["counts"].update(flagged="many"),
        lambda body: body["sections"][0]["blocks"][0].update(kind="song"),
    ],
)
def test_what_is_no_report_does_not_fit(change) -> None:  # type: ignore[no-untyped-def]
    body = json.loads(samples.document("supported").to_json())
    change(body)
    assert not VALIDATOR.is_valid(body)
