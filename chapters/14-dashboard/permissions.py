"""Permissions: which rooms and which events are for whom.

A name that a client sends is a wish. Whether it is granted depends on who asks, and that is known
from the token alone. Asked at the act itself, not only at the door.
"""

from commands import RESERVED, Publish, Refused
from tokens import Identity


def own_rooms(identity: Identity) -> set[str]:
    """The rooms that the server puts this user into."""
    return {f"user:{identity.user}", f"role:{identity.role}"}


def check_subscribe(identity: Identity, channel: str) -> None:
    """user: and role: rooms are for their holders. Raises Refused."""
    if channel.startswith(RESERVED) and channel not in own_rooms(identity):
        raise Refused("forbidden", "user: and role: channels are for their holders")


def check_publish(identity: Identity, wanted: Publish) -> None:
    """What is said in the name of the administration, only its members may say. Raises Refused."""
    if wanted.event.startswith("admin:") and identity.role != "admin":
        raise Refused("forbidden", "admin: events need the role admin")
