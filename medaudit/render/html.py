"""A document as one HTML file: no script, no request, pictures and style inside."""

from medaudit.render.alone import print_alone
from medaudit.render.document import SCHEMA, Document


def print_html(document: Document) -> str:
    """The page. Every text is escaped; the one style sheet is allowed by its hash and nothing else may load."""
    return print_alone("report", document=document, schema=SCHEMA, digest=document.digest())
