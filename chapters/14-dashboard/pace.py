"""Pace: how fast a user may ask, over all connections and both dialects together."""

from envelope import encode
from limits import Buckets
from sessions import TOO_FAST, Session
from settings import MAX_STRIKES, MESSAGE_BURST, MESSAGE_RATE

MESSAGES = Buckets(rate=MESSAGE_RATE, burst=MESSAGE_BURST)  # a bucket for each user, not socket


def too_fast(session: Session, request_id: str | None, wait: float) -> str:
    """Refuse, and say when to come again. Whoever does not listen has to go."""
    session.strikes += 1
    if session.strikes == 1:  # the first of a row: a flood must not flood the log too
        session.note("rate_limited")
    if session.strikes >= MAX_STRIKES:
        session.end(TOO_FAST, f"too many messages: wait {MESSAGE_BURST / MESSAGE_RATE:.1f} s")
    data = {"code": "rate_limited", "message": "too many messages", "retryAfter": round(wait, 3)}
    return encode("error", request_id, data=data)
