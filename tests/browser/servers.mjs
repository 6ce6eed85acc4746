// Servers of ours, which a test starts, kills and starts again. All of them end with this process.

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, openSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { until } from "./claims.mjs";

const { ONELOOP_BINARY: BINARY, ONELOOP_WORK: WORK } = process.env;

/** What this machine has set for its own programs is not what is tested. */
const NOT_PASSED_ON = /^(OPENAI_API_KEY|(HTTP|HTTPS|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|NOTES_DIRECTORY|STATE_DIRECTORY)$/i;
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_PASSED_ON.test(name)));

/** The notes of a small house, in a folder that the test may change. */
export function freshNotes() {
  const folder = mkdtempSync(path.join(WORK, "notes-"));
  cpSync(fileURLToPath(new URL("notes", import.meta.url)), folder, { recursive: true });
  return folder;
}

/** A server on a port and with a state of its own. It keeps both when it is started again. */
export class Oneloop {
  #process = null;
  #listen = "127.0.0.1:0";

  /** Answers a server that has read its notes. Without a folder it has a fresh one, `notes`. */
  static async start(name, { notes = freshNotes(), flags = [] } = {}) {
    const server = new Oneloop();
    Object.assign(server, { name, notes, flags });
    process.on("exit", () => server.#process?.kill("SIGKILL"));
    await server.start();
    return server;
  }

  /** Starts it, also where it was before. */
  async start() {
    const log = openSync(path.join(WORK, `${this.name}.log`), "a");
    const { notes, flags } = this;
    const parameters = ["serve", notes, "--listen", this.#listen, "--state-dir", path.join(WORK, `${this.name}.state`), ...flags];
    this.#process = spawn(BINARY, parameters, { stdio: ["ignore", "pipe", log], env: environment });
    for await (const line of createInterface(this.#process.stdout)) {
      if (!line.startsWith("listening on ")) continue;
      this.url = line.slice("listening on ".length).trim();
      break;
    }
    if (!this.url || this.#process.exitCode !== null) throw new Error(`${this.name} does not start; see its log`);
    this.#listen = new URL(this.url).host;
    await until(async () => (await this.get("/health")).index.state === "ready");
  }

  /** Ends it, and answers once it is gone. */
  async end(signal) {
    const gone = new Promise((resolve) => this.#process.on("exit", resolve));
    this.#process.kill(signal);
    await gone;
  }

  fetch(address, options = {}) {
    return fetch(this.url + address, options);
  }

  async get(address) {
    return (await this.fetch(address)).json();
  }

  async post(address, body) {
    const headers = { "Content-Type": "application/json" };
    return (await this.fetch(address, { method: "POST", headers, body: JSON.stringify(body) })).json();
  }

  /** What was asked, the newest first. */
  async tasks() {
    return (await this.get("/tasks")).tasks;
  }

  /** A task once it has ended. */
  async ended(id) {
    return until(async () => {
      const task = await this.get(`/chat/task/${id}?wait=20`);
      return ["completed", "failed", "cancelled"].includes(task.status) && task;
    });
  }

  /** The folder is read again, as it is done now and then by itself. */
  sync() {
    return this.post("/sync", {});
  }
}
