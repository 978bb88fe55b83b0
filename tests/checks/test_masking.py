"""Masking: what a client sends is masked, and a server insists on it."""

from tests.harness.peer import TEXT
from tests.harness.subject import Subject
from tests.harness.verdict import LAST, check, require


@check("RFC 6455 §5.1", order=LAST)
async def test_unmasked_frame_is_refused(subject: Subject) -> None:
    """An unmasked frame from a client ends the connection with 1002.

    Bit 7 of the second byte says whether a frame is masked. When a client sends a frame without it,
    close with 1002, protocol error. The mask keeps a page from writing bytes of its own choice into
    the path of a careless proxy, so a client that leaves it out is not a browser.
    """
    peer = await subject.client()

    async with subject.bystander():
        await peer.send(TEXT, b"not masked", masked=False)

        ended = await peer.ended("close 1002 (protocol error)")
        require(
            ended.code == 1002,
            "an unmasked frame is not refused",
            expected="close 1002 (protocol error)",
            got=ended,
        )
