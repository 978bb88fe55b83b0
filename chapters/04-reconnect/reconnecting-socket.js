// A WebSocket that comes back: one table of states, one owner, one timer for what comes next.
//
//   const socket = new ReconnectingSocket("ws://127.0.0.1:8080/ws", (event, fields) => console.log(event, fields));
//   socket.start(); socket.send("hello"); socket.stop();
//
// It reports what client.py prints: open, message, close, failed, dead, retry, refused, stopped; and offline, online.
import CODES from "./close-codes.json" with { type: "json" };

export { CODES };
export const STATES = { // state → what can happen in it → the state after that
  idle: { try: "connecting" },
  connecting: { opened: "open", lost: "waiting", stop: "stopped" },
  open: { lost: "waiting", stop: "stopped" },
  waiting: { try: "connecting", stop: "stopped" },
  stopped: { try: "connecting" },
};
export const PATIENCE = 2.5; // heartbeats of silence before the line is taken for dead
export const DEFAULTS = { // milliseconds
  base: 1000, cap: 30_000, stable: 5000, connectTimeout: 10_000, heartbeat: 20_000,
};
const LOST = 1006; // the connection ended without a close frame, or was never made
const QUEUE_LIMIT = 100; // messages kept while there is no connection
const LOOK = 100; // milliseconds between two looks at the clock while the line is open

export class ReconnectingSocket {
  state = "idle";
  attempt = 0; // tries since the last connection that held
  dueAt = null; // when the next try comes, by performance.now(); null: when the network is back, or never
  silence = 0; // milliseconds since anything was heard
  unanswered = 0; // times it has asked since then
  #socket = null;
  #timer = null; // of the state we are in: the wait, the handshake's deadline, or the heartbeat
  #unsent = [];

  constructor(url, report, settings = {}) {
    Object.assign(this, { url, report, settings: { ...DEFAULTS, ...settings } });
    this.heartbeat = this.settings.heartbeat;
    this.networkChanged = () => this.#networkChanged();
  }

  start() {
    addEventListener("online", this.networkChanged);
    addEventListener("offline", this.networkChanged);
    this.#connect();
  }

  stop(code = 1000, reason = "") { // for good: whatever it was doing, it does no more
    if (!("stop" in STATES[this.state])) return;
    const socket = this.#letGo();
    socket?.close(code, reason);
    this.#stopped("closed by this side");
  }

  send(message) { // now, or once it is back; false if there is no room for it
    if (this.state === "open") this.#socket.send(message);
    else if (this.state !== "stopped" && this.#unsent.length < QUEUE_LIMIT) this.#unsent.push(message);
    else return this.report("refused", { line: message }), false;
    return true;
  }

  #move(what) {
    if (!(what in STATES[this.state])) throw new Error(`${what} cannot happen while ${this.state}`);
    this.state = STATES[this.state][what];
  }

  #connect() {
    this.#move("try");
    this.dueAt = null;
    const socket = this.#socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason, wasClean }) => {
      const kind = this.state === "open" ? "close" : "failed"; // a page is never told why a handshake failed
      this.report(kind, { code, reason, wasClean });
      this.#ended(code);
    };
    this.#timer = setTimeout(() => {
      this.#letGo().close();
      this.report("failed", { code: LOST, reason: "no answer in time", wasClean: false });
      this.#ended(LOST);
    }, this.settings.connectTimeout);
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#move("opened");
    this.openedAt = this.lastHeard = this.lastAsked = performance.now();
    this.silence = this.unanswered = 0;
    this.report("open", { protocol: this.#socket.protocol, extensions: this.#socket.extensions });
    for (const message of this.#unsent.splice(0)) this.#socket.send(message);
    this.#timer = setInterval(() => this.#beat(), LOOK);
  }

  #heard(data) { // any message is a sign of life
    this.lastHeard = performance.now();
    this.silence = this.unanswered = 0;
    const { type, data: said } = parse(data) ?? {};
    if (type === "welcome" && said?.heartbeatMs > 0) this.heartbeat = said.heartbeatMs;
    this.report("message", { data });
  }

  #beat() { // Look at the clock, never count the calls: a hidden tab gets one a minute.
    const now = performance.now(), { heartbeat, unanswered } = this;
    this.silence = now - this.lastHeard;
    // The silence of such a sleep is our own doing: nobody is dead before being asked twice, and not just now.
    if (unanswered < 2 && this.silence >= (unanswered + 1) * heartbeat) {
      this.unanswered += 1;
      this.lastAsked = now;
      this.#socket.send(JSON.stringify({ type: "ping" }));
    } else if (this.silence >= PATIENCE * heartbeat && now - this.lastAsked >= heartbeat / 4) {
      this.#letGo().close(); // abandoned: the browser ends it in its own time, and we hear nothing more of it
      this.report("dead", { silentMs: Math.round(this.silence) });
      this.#ended(LOST);
    }
  }

  #ended(code) { // whatever ended it: here, and only here, it is decided what comes next
    const uptime = this.state === "open" ? performance.now() - this.openedAt : 0;
    this.#letGo();
    if (CODES[code]?.again === false) return this.#stopped(`${code} ${CODES[code].meaning}`);
    this.#move("lost");
    if (uptime >= this.settings.stable) this.attempt = 0;
    const ceiling = Math.min(this.settings.cap, this.settings.base * 2 ** this.attempt);
    this.attempt += 1;
    this.#wait(ceiling);
  }

  #wait(ceiling) { // full jitter: a random part of the whole ceiling
    if (!navigator.onLine) return this.report("offline", {}); // no network, no use: the event "online" goes on
    const delay = Math.random() * ceiling;
    this.dueAt = performance.now() + delay;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.report("retry", { attempt: this.attempt, delayMs: Math.round(delay) });
  }

  #networkChanged() {
    if (this.state !== "waiting") return; // an open line stays open: its own heartbeat knows better
    clearTimeout(this.#timer);
    this.dueAt = null;
    if (navigator.onLine) this.report("online", {});
    this.#wait(this.settings.base); // back on the network: soon, and still not all at one moment
  }

  #letGo() { // from here on nothing that is late can reach us: no handler, no timer
    clearTimeout(this.#timer); // browsers clear intervals by the same call
    const socket = this.#socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = null;
    return socket;
  }

  #stopped(why) {
    this.#move("stop");
    this.dueAt = null;
    removeEventListener("online", this.networkChanged);
    removeEventListener("offline", this.networkChanged);
    for (const line of this.#unsent.splice(0)) this.report("refused", { line });
    this.report("stopped", { why });
  }

  get raw() { return this.#socket; } // to look at: readyState, bufferedAmount
}

function parse(text) { // undefined for what is no JSON object
  try { return typeof text === "string" ? JSON.parse(text) : undefined; } catch { return undefined; }
}
