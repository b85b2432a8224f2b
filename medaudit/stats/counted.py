"""A number and what it counts, in words."""


def counted(number: int, noun: str, several: str | None = None) -> str:
    """1 image, 2 images; `several` is the plural where it takes more than an s."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
