"""Users: who may log in. Passwords are kept as scrypt hashes, and nobody learns which names exist.

The hash is slow on purpose: whoever steals it pays for every guess, and so do we for every login.
That is why it runs in a thread, two at a time: the event loop has others to serve.
"""

import asyncio
import hashlib
import hmac
import os
import re
import sys
from dataclasses import dataclass

from settings import SCRYPT_LOG_N, USERS

NAME = re.compile(r"[a-z0-9_-]{1,32}")  # a name becomes the channel user:NAME, a role role:ROLE
COST = {"n": 2**SCRYPT_LOG_N, "r": 8, "p": 1}  # 16 MB; OWASP asks for p = 5, five times the time
MEMORY = 2 * 128 * COST["n"] * COST["r"]  # bytes that OpenSSL may take: twice what it needs
AT_ONCE = asyncio.Semaphore(2)  # hashes: each needs its memory


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: str
    salt: bytes
    hash: bytes


def scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=MEMORY, **COST)


def read_users(text: str) -> dict[str, User]:
    """`name:password:role,…` as users. What is wrong is not shown: it holds passwords."""
    users = {}
    for part in text.split(","):
        name, _, rest = part.strip().partition(":")
        password, _, role = rest.rpartition(":")
        if not (NAME.fullmatch(name) and password and NAME.fullmatch(role)):
            sys.exit("USERS must be name:password:role,… with names and roles of a-z 0-9 _ -")
        salt = os.urandom(16)
        users[name] = User(name, role, salt, scrypt(password, salt))
    return users


KNOWN = read_users(USERS)
NOBODY = User("", "", os.urandom(16), bytes(64))  # what an unknown name is compared with


async def log_in(name: str, password: str) -> User | None:
    """The user, if the password is theirs. An unknown name costs the same work and time."""
    user = KNOWN.get(name, NOBODY)
    async with AT_ONCE:
        found = await asyncio.to_thread(scrypt, password, user.salt)
    right = hmac.compare_digest(found, user.hash)  # in constant time
    return user if right and user is not NOBODY else None
