/** The servers of the chapters, started as a learner starts them: with PYTHON, else the venv's. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

import { until } from "./waiting";

const ROOT = join(import.meta.dirname, "..", "..");
const VENV = join(ROOT, ".venv", "bin", "python");
const SECRET = "a-secret-of-the-tests-and-of-nobody-else";

export class Chapter {
  readonly http: string;
  readonly ws: string;
  #folder: string;
  #environment: Record<string, string>;
  #process: ChildProcess | null = null;
  #said = "";

  private constructor(folder: string, port: number, environment: Record<string, string>) {
    this.#folder = folder;
    this.#environment = { ...environment, HOST: "127.0.0.1", PORT: String(port) };
    this.http = `http://127.0.0.1:${String(port)}`;
    this.ws = `ws://127.0.0.1:${String(port)}/ws`;
  }

  static async start(number: number, environment: Record<string, string> = {}): Promise<Chapter> {
    const prefix = `${String(number).padStart(2, "0")}-`;
    const chapters = join(ROOT, "chapters");
    const folder = readdirSync(chapters).find((name) => name.startsWith(prefix));
    if (folder === undefined) throw new Error(`there is no chapter ${String(number)}`);
    const chapter = new Chapter(join(chapters, folder), await freePort(), environment);
    await chapter.start();
    return chapter;
  }

  /** Start it, or start it again on the same port. */
  async start(): Promise<void> {
    const python = process.env["PYTHON"] ?? VENV;
    if (python === VENV && !existsSync(VENV)) {
      throw new Error(
        "no .venv here: `make setup` makes it, or set PYTHON to one with its packages",
      );
    }
    const env = { ...process.env, JWT_SECRET: SECRET, ...this.#environment };
    const child = spawn(python, ["server.py"], { cwd: this.#folder, env });
    this.#process = child;
    const hear = (data: Buffer) => (this.#said = (this.#said + data.toString()).slice(-2_000));
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    await until(`${this.#folder} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${this.#said}`);
      return fetch(`${this.http}/api/ping`).then(
        (response) => response.ok,
        () => false,
      );
    });
  }

  async post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.http + path, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} answers ${String(response.status)}`);
    return response.json();
  }

  /** SIGKILL is an outage: no goodbye to anybody. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
