"""Framing: a whole text frame of a server, by hand. It is the same for everybody.

Only a client masks its frames (RFC 6455 §5.3), and this course's servers compress nothing. So a
room's message is written as a frame once, and the same bytes go to every member.
"""

TEXT = 0x81  # opcode 1, and the bit that says: this is the whole message


def frame(text: str) -> bytes:
    """The frame of a text message: opcode, length in one of three forms, payload (§5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 65536:
        return bytes((TEXT, 126)) + size.to_bytes(2) + payload
    return bytes((TEXT, 127)) + size.to_bytes(8) + payload
