// Reading a run: from the bytes of its stream to what is known of it, and on from there when the stream breaks.
//
// The server keeps the log of a run, and a reader is a position in it. So nothing is ever lost: whoever was cut off asks
// for what comes behind the last event that it has seen. A page that is loaded anew reads the same log from its beginning,
// and two pages are two readers.

import { Refused, ask, pause, refusal, send, wait } from "./api.mjs";

/** Longest silence of a stream, in ms. The server says something every 10 s at least; behind it the line is dead. */
const SILENCE_MAX = 25_000;

/** Cuts a text that comes in pieces into the events of a stream (HTML Standard, "Interpreting an event stream"). */
export class EventStream {
  #rest = "";
  #data = [];
  #id = null;

  /** Takes what has come; gives back the events that are whole: `{id, data}`. */
  receive(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines.map((line) => line.replace(/\r$/, ""))) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ id: this.#id, data: this.#data.join("\n") });
        this.#data = [];
        this.#id = null;
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "data") this.#data.push(value);
      if (field === "id") this.#id = value;
    }
    return events;
  }
}

/** What is known of a run, told by its events in their order. */
export class Reading {
  /** Of a run that nothing is known of yet. */
  constructor(id) {
    this.id = id;
    /** The number of the last event that was seen. */
    this.last = 0;
    this.#begin();
  }

  #log = [];

  #begin() {
    /** `pending`, `running`, `completed`, `failed`, `cancelled`. */
    this.status = "running";
    /** How many are before it. */
    this.place = null;
    /** What it does. */
    this.detail = "";
    this.text = "";
    this.reasoning = "";
    this.sources = [];
    /** What the agent has written. */
    this.updates = [];
    /** The whole response. */
    this.response = null;
    this.error = null;
    /** Something that a reader should know beside the answer. */
    this.notice = "";
    /** The last event was there. */
    this.isOver = false;
  }

  /** Takes an event. `number` is null for one that has none, and is no part of the log. */
  take(number, event) {
    if (number !== null) {
      if (number <= this.last) return;
      this.last = number;
      if (event.type === "restart") this.#log = this.#log.filter((known) => known.number <= event.keep);
      this.#log.push({ number, event });
    }
    if (event.type === "restart") {
      // What the process before has told and not kept is void: what is known begins anew with what is left of the log.
      this.#begin();
      this.#log.forEach((known) => this.#fold(known.event));
    } else {
      this.#fold(event);
    }
  }

  #fold(event) {
    switch (event.type) {
      case "state":
        this.place = event.place ?? null;
        if (!this.isOver) this.status = event.status;
        break;
      case "status":
        this.status = "running";
        this.detail = event.detail;
        break;
      case "sources": this.sources = event.sources; break;
      case "reasoning": this.reasoning += event.text; break;
      case "token": this.text += event.text; break;
      case "revision":
        this.text = "";
        this.notice = event.detail;
        break;
      case "storage": this.notice = event.kept ? "" : event.detail; break;
      case "update": this.updates.push(event.update); break;
      case "complete": this.#complete(event.response); break;
      case "error": this.error = event.detail; break;
      case "done": this.end(event.status); break;
    }
  }

  #complete(response) {
    this.response = response;
    this.text = response.response;
    this.sources = response.sources;
    this.updates = response.knowledge_updates;
  }

  /** It has ended. */
  end(status) {
    this.status = status;
    this.isOver = true;
  }

  /** The server's word for all of it, for whoever comes when the log is not to be had. */
  takeTask(task) {
    if (task.result) this.#complete(task.result);
    this.error = task.error;
    this.end(task.status);
  }
}

/** The number in an event's id, which is `<run>-<number>`. */
const numberOf = (id) => (id === null ? null : Number(id.slice(id.lastIndexOf("-") + 1)));

/**
 * Reads a run to its end, over every break. Calls `changed()` when something new is known; `said(text)` tells of the line.
 *
 * Throws `Refused` if there is no such run, or it is not kept any more. A page that nobody sees lets go of its stream: a
 * browser has six connections to a server over HTTP/1.1, for all of its tabs.
 */
export async function follow(reading, { signal, changed, said }) {
  for (let tried = 0; !reading.isOver; tried += 1) {
    if (tried > 0) {
      await pause(wait(tried), signal);
      await seen(signal);
    }
    const before = reading.last;
    try {
      await readOnce(reading, signal, changed, () => said(""));
    } catch (error) {
      if (signal.aborted || (error instanceof Refused && error.status < 500)) throw error;
    }
    if (reading.last > before) tried = 0;
    if (!reading.isOver) said("The line was cut. Going on from there in a moment…");
  }
  said("");
}

async function readOnce(reading, signal, changed, connected) {
  // Ends the request: when the caller leaves, when it is silent for too long, when the page is hidden.
  const line = new AbortController();
  const end = () => line.abort();
  const hide = () => { if (document.hidden) end(); };
  signal.addEventListener("abort", end);
  document.addEventListener("visibilitychange", hide);
  let timer = setTimeout(end, SILENCE_MAX);
  try {
    const path = `/chat/task/${encodeURIComponent(reading.id)}/stream?after=${reading.last}`;
    const response = await send("GET", path, { signal: line.signal });
    if (response.status === 204) return reading.takeTask(await ask("GET", `/chat/task/${encodeURIComponent(reading.id)}`));
    if (!response.ok) throw await refusal(response);
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Refused(404, "There is no such task.");
    connected();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const stream = new EventStream();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(end, SILENCE_MAX);
      for (const { id, data } of stream.receive(value)) reading.take(numberOf(id), JSON.parse(data));
      changed();
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    document.removeEventListener("visibilitychange", hide);
  }
}

/** Waits until somebody looks at the page. */
function seen(signal) {
  if (!document.hidden) return undefined;
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason);
    document.addEventListener("visibilitychange", () => { signal.removeEventListener("abort", end); resolve(); }, { once: true });
    signal.addEventListener("abort", end, { once: true });
  });
}
