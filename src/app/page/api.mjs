// Requests to the server: each is remembered for "copy as curl", and one that did not get through is tried again.

import { button, byId, copy } from "./dom.mjs";

/** The server has answered, and refuses. */
export class Refused extends Error {
  constructor(status, detail, { retryAfter = null, etag = null } = {}) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
    this.etag = etag;
  }
}

/** The server was not reached, or what it said was cut off. */
export class Unreached extends Error {}

/** How often a request that does not get through is tried, and the longest wait between two tries, in ms. */
const TRIES_MAX = 12;
const WAIT_MAX = 4000;

/** Requests that are remembered. */
const REMEMBERED_MAX = 50;

/** What was asked, the newest first: `{method, path, status, ms, curl}`. */
export const requests = [];

/**
 * Asks the server; resolves to its `Response`, whatever its status.
 *
 * Only what may be asked twice is: GET, and whatever the caller says is `repeatable`, as its request has a key or names the
 * version that it replaces. Meanwhile the page says that the server can't be reached.
 *
 * `quiet` is for what is asked again and again: it stands once among the requests, with what its last time brought.
 */
export async function send(method, path, options = {}) {
  const { json, body = json === undefined ? undefined : JSON.stringify(json), signal } = options;
  const headers = { ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...options.headers };
  const tries = method === "GET" || options.repeatable ? TRIES_MAX : 1;
  const known = options.quiet && requests.find((one) => one.method === method && one.path === path);
  const record = known || remember(method, path, headers, body);
  const begun = performance.now();
  for (let tried = 1; ; tried += 1) {
    try {
      const response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
      record.status = response.status;
      record.ms = Math.round(performance.now() - begun);
      lost(false);
      return response;
    } catch (error) {
      if (signal?.aborted) record.status = "left";
      if (signal?.aborted) throw error;
      record.status = "lost";
      lost(true);
      if (tried === tries) throw new Unreached(error.message);
      await pause(wait(tried), signal);
    }
  }
}

/** The JSON of an answer. Throws `Refused` for a status that is no success. */
export async function ask(method, path, options = {}) {
  const response = await asked(method, path, options);
  return response.json().catch((error) => { throw options.signal?.aborted ? error : new Unreached(error.message); });
}

/** An answer that is a success. */
export async function asked(method, path, options = {}) {
  const response = await send(method, path, options);
  if (response.ok) return response;
  throw await refusal(response);
}

/** A refusal, in the server's words. Of fields that are wrong it tells each. */
export async function refusal(response) {
  const told = await response.json().catch(() => null);
  const detail = Array.isArray(told?.detail)
    ? told.detail.map((one) => `${one.loc?.slice(1).join(".")}: ${one.msg}`).join("; ")
    : told?.detail ?? `The server answers with status ${response.status}.`;
  return new Refused(response.status, detail, {
    retryAfter: Number(response.headers.get("Retry-After")) || null,
    etag: response.headers.get("ETag"),
  });
}

/** What went wrong, in words. */
export const words = (error) => (error instanceof Refused ? error.message : "The server can't be reached.");

/** How long to wait behind so many tries, in ms: longer each time, and not the same for all pages that wait. */
export const wait = (tried) => Math.min(200 * 2 ** (tried - 1), WAIT_MAX) * (0.75 + Math.random() / 2);

/** Waits, or until it is not worth it any more. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const end = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", end); resolve(); }, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** Says, quietly and once, that the server can't be reached, and that it can be again. */
export function lost(isLost) {
  const place = byId("connection");
  if (!place || (place.textContent !== "") === isLost) return;
  place.textContent = isLost ? "The server can't be reached. Trying again…" : "";
}

function remember(method, path, headers, body) {
  const record = { method, path, status: "…", ms: null, curl: curl(method, path, headers, body) };
  requests.unshift(record);
  requests.length = Math.min(requests.length, REMEMBERED_MAX);
  return record;
}

/** A button that copies a request as a command. */
export const copyable = (method, path) =>
  button("Copy as curl", () => copy(curl(method, path)), { class: "bare", "aria-label": `Copy as curl: ${method} ${path}` });

/** A request as a command for a POSIX shell. What stands in single quotes means itself there, but for the quote. */
export function curl(method, path, headers = {}, body = undefined) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = ["curl"];
  if (method !== "GET" && !(method === "POST" && body !== undefined)) parts.push(`-X ${method}`);
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (path.endsWith("/stream") || path.includes("/stream?")) parts.push("-N");
  if (body !== undefined) parts.push(`--data-binary ${quoted(body)}`);
  parts.push(quoted(new URL(path, globalThis.location?.href ?? "http://localhost:8000").href));
  return parts.join(" ");
}
