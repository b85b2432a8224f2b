"""The size a compressed frame states of itself, read without decoding: a small file can unfold to gigabytes."""

_J2K_SOC_SIZ = b"\xff\x4f\xff\x51"  # ISO/IEC 15444-1 A.4.1, A.5.1
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length: TEM, RST, SOI
# Frame headers: ISO/IEC 10918-1 B.2.2 (not DHT, JPG, DAC), and JPEG-LS, ISO/IEC 14495-1 C.2.2
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}) | {0xF7}


_JPEG_KINDS = {0xC0: "baseline", 0xC1: "extended", 0xC3: "lossless", 0xF7: "ls"}
_J2K_CAPABILITIES = b"\xff\x50"  # ISO/IEC 15444-15: high throughput


def frame_kind(frame: bytes) -> str | None:
    """What a compressed frame is, by its own markers: baseline, extended, lossless, ls, 2000, ht, rle; else None."""
    if frame[:2] == b"\xff\xd8":
        header = _jpeg_header(frame)
        return _JPEG_KINDS.get(frame[header + 1]) if header is not None else None
    at = frame.find(_J2K_SOC_SIZ, 0, 256)
    if at >= 0:
        length = int.from_bytes(frame[at + 4 : at + 6], "big")
        after = frame[at + 4 + length : at + 6 + length]
        return "ht" if after == _J2K_CAPABILITIES else "2000"
    # PS3.5 G.5: 64 bytes of header, the number of segments and the offset of each, the first at 64
    if len(frame) > 64 and 1 <= int.from_bytes(frame[:4], "little") <= 15:
        return "rle" if int.from_bytes(frame[4:8], "little") == 64 else None
    return None


def stated_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None where none can be found."""
    if frame[:2] == b"\xff\xd8":
        return _jpeg_size(frame)
    at = frame.find(_J2K_SOC_SIZ, 0, 256)  # JP2 boxes may stand before the codestream
    if at < 0 or len(frame) < at + 24:
        return None
    width, height, left, top = (int.from_bytes(frame[at + i : at + i + 4], "big") for i in (8, 12, 16, 20))
    return height - top, width - left


def stated_precision(frame: bytes) -> int | None:
    """Bits of a sample that a JPEG, JPEG-LS or JPEG 2000 frame states; None where none can be found."""
    if frame[:2] == b"\xff\xd8":
        header = _jpeg_header(frame)
        return frame[header + 4] if header is not None else None
    at = frame.find(_J2K_SOC_SIZ, 0, 256)
    if at < 0 or len(frame) < at + 43:
        return None
    return (frame[at + 42] & 0x7F) + 1  # ISO/IEC 15444-1 A.5.1, Ssiz


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = _jpeg_header(frame)
    if at is None:
        return None
    return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")


def _jpeg_header(frame: bytes) -> int | None:
    """Where the frame header's marker stands; None where the scan begins and no frame was named."""
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAME_HEADERS:
            return at
        elif marker == 0xDA:
            return None
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
