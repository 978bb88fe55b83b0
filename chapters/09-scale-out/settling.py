"""Settling: what one publish does in Valkey, as one step. It happens whole, or not at all.

The request's id, the channel's next number and the event belong together: were they three
commands, a connection that breaks between them would leave a number without an event, or an event
that is sent again. Valkey runs a script while nobody else is served, and that makes it one.
"""

HISTORY = 1000  # events of a channel that are kept, for those who come back
LOG = 2000  # events of all channels that are kept, for instances that were away
REQUEST_SECONDS = 600  # that a request id is remembered
CHANNEL_SECONDS = 86_400  # that a channel in which nothing happens is remembered

PREFIX = "frames"
LOG_KEY, COUNT_KEY = f"{PREFIX}:log", f"{PREFIX}:count"
SIGNAL = f"{PREFIX}:events"  # the channel of Valkey's own pub/sub


def keys(channel: str, request: str) -> list[str]:
    place, history = f"{PREFIX}:place:{channel}", f"{PREFIX}:history:{channel}"
    return [f"{PREFIX}:request:{request}", place, history, LOG_KEY, COUNT_KEY]


def arguments(how: str, new_epoch: str, channel: str, event: str) -> list[str | int]:
    return [how, new_epoch, channel, event, SIGNAL, REQUEST_SECONDS, CHANNEL_SECONDS, HISTORY, LOG]


SCRIPT = """
local request, place, history, log, count = unpack(KEYS)
local how, new_epoch, channel, event, signal = unpack(ARGV)
local request_seconds, channel_seconds, history_length, log_length = unpack(ARGV, 6)

-- The same request again: say what came of it, and do nothing.
local before = redis.call('HMGET', request, 'epoch', 'seq')
if before[1] then return {before[1], before[2], 0} end

-- A channel without a place begins at 1, under a new name; its history goes with the old one.
if redis.call('HSETNX', place, 'epoch', new_epoch) == 1 then redis.call('DEL', history) end
local epoch = redis.call('HGET', place, 'epoch')
local seq = redis.call('HINCRBY', place, 'seq', 1)
redis.call('EXPIRE', place, channel_seconds)
redis.call('HSET', request, 'epoch', epoch, 'seq', seq)
redis.call('EXPIRE', request, request_seconds)

if how == 'pubsub' then
  redis.call('PUBLISH', signal, cjson.encode({channel, epoch, seq, event}))
else
  local fields = {'channel', channel, 'epoch', epoch, 'seq', seq, 'event', event}
  redis.call('XADD', history, 'MAXLEN', history_length, seq .. '-0', unpack(fields))
  redis.call('EXPIRE', history, channel_seconds)
  local number = redis.call('INCR', count)
  redis.call('XADD', log, 'MAXLEN', '~', log_length, '*', 'number', number, unpack(fields))
end
return {epoch, seq, 1}
"""
