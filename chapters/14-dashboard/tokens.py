"""Tokens: who somebody is, signed, for five minutes.

A JWT is not secret writing: anybody can read it. The signature says that it is ours and unchanged,
and every claim that we rely on has to be there, or a token without `exp` would live for ever.
"""

import math
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

from settings import JWT_SECRET, TOKEN_SECONDS
from users import User

OURS = "ws-course"  # who issues the tokens, and for whom: a token for another service is not ours
REQUIRED = ["sub", "role", "aud", "iss", "exp", "iat", "jti"]
SHORTEST = 32  # bytes of a secret: as many as the hash has (RFC 7518 §3.2)

if len(JWT_SECRET.encode()) < SHORTEST:  # a default would be known to everybody who reads this
    sys.exit(f"JWT_SECRET must have at least {SHORTEST} bytes; make one: openssl rand -hex 32")

LOGGED_OUT: dict[str, float] = {}  # user → when: tokens from before are void


class BadToken(Exception):
    """Not ours, not whole, or not valid any more. The message may be shown."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token says."""

    user: str
    role: str
    issued: float  # seconds since 1970, as expires
    expires: float

    @property
    def public(self) -> dict[str, Any]:
        return {"user": self.user, "role": self.role}

    @property
    def seconds_left(self) -> float:
        return self.expires - time.time()

    @property
    def logged_out(self) -> bool:
        return self.issued <= LOGGED_OUT.get(self.user, 0.0)


def issue(user: User) -> str:
    now = time.time()
    claims = {"sub": user.name, "role": user.role, "aud": OURS, "iss": OURS, "iat": now}
    claims |= {"exp": math.ceil(now + TOKEN_SECONDS), "jti": uuid.uuid4().hex}
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def read(token: str) -> Identity:
    """Whose token this is. Raises BadToken."""
    try:
        claims = jwt.decode(
            token,
            JWT_SECRET,
            algorithms=["HS256"],  # ours, never the one that the token names: it may say "none"
            audience=OURS,
            issuer=OURS,
            options={"require": REQUIRED},
        )
    except jwt.ExpiredSignatureError as error:
        raise BadToken("the token has expired") from error
    except (jwt.PyJWTError, ValueError) as error:  # ValueError: half a character is no UTF-8
        raise BadToken("the token is not valid") from error
    if not isinstance(claims["role"], str):
        raise BadToken("the token is not valid")
    identity = Identity(claims["sub"], claims["role"], float(claims["iat"]), float(claims["exp"]))
    if identity.logged_out:
        raise BadToken("the user has logged out")
    return identity


def log_out(user: str) -> None:
    """Make every token of this user void that there is now."""
    LOGGED_OUT[user] = time.time()
