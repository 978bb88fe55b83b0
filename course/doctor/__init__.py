"""The doctor: asks one endpoint a handful of questions, and says what is wrong and how to mend it.

report.py    findings, and how they are told; findings.toml says each in both languages
net.py       connections with a deadline and a limit for everything that a server sends
talk.py      an open WebSocket: messages, pings, and how it ends
visit.py     the order of the probes
upgrade.py   the handshake: status, Accept, Origin, subprotocol
native.py    a conversation over WebSocket: answers, heartbeat, idle time-out, close
engine.py    Engine.IO: its version, the stickiness of polling, CORS
command.py   `python -m course doctor`
"""
