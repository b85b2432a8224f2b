"""medaudit keygen: the key pair of an institution that signs its releases."""

from pathlib import Path

from medaudit.artifacts.keys import Passphrase, key_files, new_key, write_keys
from medaudit.errors import OutputExists
from medaudit.stages.outcome import Outcome


def run(out: Path, *, passphrase: Passphrase = str) -> Outcome:
    """Write a secret key (mode 0600) and a public key. Raises OutputExists, KeyProblem; nothing is written over."""
    taken = [path for path in key_files(out) if path.exists()]
    if taken:  # before anybody types a passphrase
        raise OutputExists(f"{taken[0]} exists; a key is never written over, choose another --out")
    key, phrase = new_key(), passphrase()
    secret, public = write_keys(out, key, phrase)
    guard = "its passphrase" if phrase else "nothing but its mode 0600: keep it on a machine that is guarded"
    lines = (
        f"secret key: {secret}, guarded by {guard}",
        f"public key: {public}, for everybody who receives a release",
        f"fingerprint {key.public.fingerprint}: tell it to receivers by another way than the release",
    )
    data = {
        "secret": str(secret),
        "public": str(public),
        "key": key.public.text,
        "fingerprint": key.public.fingerprint,
    }
    return Outcome(lines, data, public)
