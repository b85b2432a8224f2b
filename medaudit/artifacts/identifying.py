"""What a text looks like that names a person or a place on disk: the patterns that no handed-out text may match."""

import re

# A pseudonym as `artifacts.pseudonyms` makes it, in any case and whatever follows. Before it anything may stand but a
# letter: `copynet-` and the digits of its weights' hash are a detector's name.
PSEUDONYM = re.compile(r"(?<![a-z])[a-z]-[0-9a-f]{16}", re.IGNORECASE)
_SPREAD = re.compile(r"\b[a-z]-(?:\s*[0-9a-f]){16}", re.IGNORECASE)  # broken over lines
# Two or more segments after a slash or a drive letter; a single slash in prose ("and/or") is not a path.
FILE_PATH = re.compile(
    r"(?:(?<![\w/:.+=])~?/(?:[\w.~-]+/)+[\w.~-]+)|(?:\b[A-Za-z]:\\[\w.\\ -]+)|(?:\bfile://\S+)"
    r"|(?:\b[\w-]+\.(?:dcm|dicom|npz|npy|png|jpe?g|tiff?|nii)\b)",
    re.IGNORECASE,
)
# A calendar date as DICOM writes it (PS3.5, 6.2: DA) or as ISO 8601 does, standing by itself.
DATE = re.compile(r"(?<![\d.])(?:19|20)\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d|\.\d)")


def holds_pseudonym(text: str) -> bool:
    """Whether a text holds anything shaped like a keyed pseudonym, whole, or broken by spaces and line ends."""
    return any((PSEUDONYM.search(text), _SPREAD.search(text), _SPREAD.search("".join(text.split()))))
