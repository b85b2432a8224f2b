"""The Merkle root against RFC 6962's own recursion, and what it must tell apart."""

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from medaudit.artifacts.merkle import digests, merkle_root

NAMES = st.text(min_size=1, max_size=9)


def by_the_book(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 sec. 2.1, as it is written there: split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + by_the_book(leaves[:k]) + by_the_book(leaves[k:])).digest()


@given(
    st.dictionaries(NAMES, st.binary(max_size=3).map(lambda b: hashlib.sha256(b).hexdigest()), max_size=20)
)
def test_it_is_the_tree_of_rfc_6962(files: dict[str, str]) -> None:
    files.pop("certificate.json", None)
    leaves = [f"{files[name]}  {name}".encode() for name in sorted(files, key=str.encode)]
    assert merkle_root(files) == by_the_book(leaves).hex()
    assert merkle_root({**files, "certificate.json": "0" * 64}) == merkle_root(files)


def test_names_contents_and_number_count() -> None:
    files = {f"{i}.dcm": f"{i:064x}" for i in range(7)}
    roots = {
        merkle_root(changed)
        for changed in (
            files,
            {**files, "7.dcm": "0" * 64},
            {name: digest for name, digest in files.items() if name != "6.dcm"},
            {**files, "0.dcm": files["1.dcm"], "1.dcm": files["0.dcm"]},
            {"00.dcm" if name == "0.dcm" else name: digest for name, digest in files.items()},
        )
    }
    assert len(roots) == 5


def test_digests_are_in_order_and_none_for_what_is_no_plain_file(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = digests([tmp_path / name for name in ("c", "link", "a", "nowhere", "b")] + [tmp_path])
    expected = [hashlib.sha256(letter.encode()).hexdigest() for letter in "cab"]
    assert found == [expected[0], None, expected[1], None, expected[2], None]
