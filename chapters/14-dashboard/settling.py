"""Settling: what one publish does in Valkey, as one step. It happens whole, or not at all.

The request's id, the channel's next number, the event and the state belong together: were they four
commands, a connection that breaks between them would leave a number without an event, or a state
without its position. Valkey runs a script while nobody else is served, and that makes it one.
"""

from settings import DEDUPE_SECONDS, HISTORY

LOG = 2000  # events of all channels that are kept, for instances that were away
REQUEST_SECONDS = round(DEDUPE_SECONDS) + 1  # that a request id is remembered
CHANNEL_SECONDS = 86_400  # that a channel in which nothing happens is remembered
MOST_STATE = 1_000  # ids in a channel's state; the one unchanged for longest goes first
WHATEVER = "whatever"  # a condition that always holds

PREFIX = "dashboard"
LOG_KEY, COUNT_KEY = f"{PREFIX}:log", f"{PREFIX}:count"
SIGNAL = f"{PREFIX}:events"  # the channel of Valkey's own pub/sub


def keys(channel: str, request: str) -> list[str]:
    place, history = f"{PREFIX}:place:{channel}", f"{PREFIX}:history:{channel}"
    state, ages = f"{PREFIX}:state:{channel}", f"{PREFIX}:ages:{channel}"
    return [f"{PREFIX}:request:{request}", place, history, LOG_KEY, COUNT_KEY, state, ages]


def arguments(
    how: str, new_epoch: str, channel: str, event: str, kept: bool, key: str, version: str | None
) -> list[str | int]:
    """`kept`: it gets a number. `key`, `version`: of the state that it changes, on a condition."""
    limits = [REQUEST_SECONDS, CHANNEL_SECONDS, HISTORY, LOG, MOST_STATE]
    condition = WHATEVER if version is None else version
    return [how, new_epoch, channel, event, SIGNAL, int(kept), key, condition, *limits]


SCRIPT = """
local request, place, history, log, count, state, ages = unpack(KEYS)
local how, new_epoch, channel, event, signal, kept, key, condition = unpack(ARGV)
local request_seconds, channel_seconds, history_length, log_length, most_state = unpack(ARGV, 9)
local epoch, seq = '', ''

if kept == '1' then
  -- The same request again: say what came of it, and do nothing.
  local before = redis.call('HMGET', request, 'epoch', 'seq')
  if before[1] then return {before[1], before[2], 0} end

  -- Somebody else was faster: what you want may not fit any more.
  if condition ~= 'whatever' and (redis.call('HGET', state, key) or '') ~= condition then
    return {'', 0, -1}
  end

  -- A channel without a place begins at 1, under a new name; its past goes with the old one.
  if redis.call('HSETNX', place, 'epoch', new_epoch) == 1 then
    redis.call('DEL', history, state, ages)
  end
  epoch = redis.call('HGET', place, 'epoch')
  seq = redis.call('HINCRBY', place, 'seq', 1)
  redis.call('EXPIRE', place, channel_seconds)
  redis.call('HSET', request, 'epoch', epoch, 'seq', seq)
  redis.call('EXPIRE', request, request_seconds)

  if key ~= '' then
    redis.call('HSET', state, key, event)
    redis.call('ZADD', ages, seq, key)
    if redis.call('ZCARD', ages) > tonumber(most_state) then
      redis.call('HDEL', state, redis.call('ZPOPMIN', ages)[1])
    end
    redis.call('EXPIRE', state, channel_seconds)
    redis.call('EXPIRE', ages, channel_seconds)
  end
end

if how == 'pubsub' then
  redis.call('PUBLISH', signal, cjson.encode({channel, epoch, seq, event}))
else
  local fields = {'channel', channel, 'epoch', epoch, 'seq', seq, 'event', event}
  if kept == '1' then
    redis.call('XADD', history, 'MAXLEN', history_length, seq .. '-0', unpack(fields))
    redis.call('EXPIRE', history, channel_seconds)
  end
  local number = redis.call('INCR', count)
  redis.call('XADD', log, 'MAXLEN', '~', log_length, '*', 'number', number, unpack(fields))
end
return {epoch, seq, 1}
"""

TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
