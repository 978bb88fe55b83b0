"""The dashboard: one board for everybody, changed by actions, and numbers that say how it is."""

from tests.harness.subject import Subject
from tests.harness.verdict import check


@check("Wire contract, chapter 14")
async def test_stub(subject: Subject) -> None:
    """A stub of a check.

    A hint.
    """
