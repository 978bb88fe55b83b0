/**
 * A pass: the token of a login, and with it a ticket for each connection.
 *
 * The token stays in memory: what is stored, any script of the page could read. A ticket stands in
 * the address of one handshake and is worth nothing after it.
 */
import { FORBIDDEN, UNAUTHORIZED } from "./closeCodes";
import { Denied } from "./connection";
import { isObject } from "./envelope";

const DENIALS: Readonly<Record<number, number>> = { 401: UNAUTHORIZED, 403: FORBIDDEN };

export class Pass {
  readonly user: string;
  readonly role: string;
  readonly #base: string;
  #token: string;
  #life: number; // seconds that the token had when it came
  #endsAt: number; // by performance.now(): clocks of two computers do not agree

  private constructor(base: string, granted: Granted) {
    this.#base = base;
    this.#token = granted.token;
    this.#life = granted.seconds;
    this.#endsAt = performance.now() + granted.seconds * 1000;
    const claims = readClaims(granted.token);
    this.user = claims["sub"] ?? "";
    this.role = claims["role"] ?? "";
  }

  /** `base` is where the server's /api is; "" for the page's own. Throws Denied. */
  static async logIn(base: string, user: string, password: string): Promise<Pass> {
    return new Pass(base, granted(await ask("POST", `${base}/api/login`, { user, password })));
  }

  get token(): string {
    return this.#token;
  }

  get secondsLeft(): number {
    return Math.max(0, (this.#endsAt - performance.now()) / 1000);
  }

  /** Milliseconds until half of the token's life is over: the time to renew it. */
  get renewIn(): number {
    return Math.max(0, this.secondsLeft - this.#life / 2) * 1000;
  }

  /** For one connection. Throws Denied where a new login is needed. */
  async ticket(signal?: AbortSignal): Promise<string> {
    const said = await this.#post("/api/ticket", signal);
    if (typeof said["ticket"] !== "string") throw new Error("the server gave no ticket");
    return said["ticket"];
  }

  /** A new token for the old one. Tell the open connection: `auth:refresh`. */
  async renew(signal?: AbortSignal): Promise<void> {
    const { token, seconds } = granted(await this.#post("/api/refresh", signal));
    this.#token = token;
    this.#life = seconds;
    this.#endsAt = performance.now() + seconds * 1000;
  }

  async logOut(): Promise<void> {
    await this.#post("/api/logout");
  }

  /** Read something of the server's, as who we are. */
  get(path: string, signal?: AbortSignal): Promise<Fields> {
    return ask("GET", this.#base + path, undefined, this.#token, signal);
  }

  #post(path: string, signal?: AbortSignal): Promise<Fields> {
    return ask("POST", this.#base + path, undefined, this.#token, signal);
  }
}

type Fields = Readonly<Record<string, unknown>>;

interface Granted {
  readonly token: string;
  readonly seconds: number;
}

function granted({ accessToken: token, expiresIn: seconds }: Fields): Granted {
  if (typeof token === "string" && typeof seconds === "number") return { token, seconds };
  throw new Error("the server gave no token");
}

async function ask(
  method: "GET" | "POST",
  url: string,
  said?: unknown,
  token?: string,
  signal?: AbortSignal,
): Promise<Fields> {
  const response = await fetch(url, {
    method,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    ...(said !== undefined && { body: JSON.stringify(said) }),
    ...(signal && { signal }),
  });
  const answer: unknown = await response.json().catch(() => null);
  const fields = isObject(answer) ? answer : {};
  if (response.ok) return fields;
  const error = isObject(fields["error"]) ? fields["error"]["message"] : undefined;
  const reason =
    typeof error === "string" ? error : `the server answers ${String(response.status)}`;
  const denial = DENIALS[response.status];
  throw denial === undefined ? new Error(reason) : new Denied(denial, reason);
}

/** What a token says, to show it. Whether it is true is the server's business. */
function readClaims(token: string): Readonly<Record<string, string | undefined>> {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const claims: unknown = JSON.parse(atob(part)); // names and roles are ASCII here
    return isObject(claims) ? (claims as Record<string, string>) : {};
  } catch {
    return {};
  }
}
