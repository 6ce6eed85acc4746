// How a page reads a run: whole, byte by byte, and over every break.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStream, Reading } from "../../../src/app/page/reading.mjs";

const TEXT = [
  'data: {"type":"state","run_id":"r","status":"running"}\n\n',
  ': still here\n\n',
  'id: r-1\ndata: {"type":"status","status":"searching","detail":"Searching the notes."}\n\n',
  'id: r-2\r\ndata: {"type":"token",\r\ndata: "text":"Grüß"}\r\n\r\n',
  'retry: 1000\n\n',
  'id: r-3\ndata:{"type":"done","status":"completed"}\n\n',
].join("");

const EVENTS = [
  { id: null, data: '{"type":"state","run_id":"r","status":"running"}' },
  { id: "r-1", data: '{"type":"status","status":"searching","detail":"Searching the notes."}' },
  { id: "r-2", data: '{"type":"token",\n"text":"Grüß"}' },
  { id: "r-3", data: '{"type":"done","status":"completed"}' },
];

test("a stream gives the same events whole, letter by letter and cut at any place", () => {
  assert.deepEqual(new EventStream().receive(TEXT), EVENTS);
  const slow = new EventStream();
  assert.deepEqual([...TEXT].flatMap((letter) => slow.receive(letter)), EVENTS);
  for (let at = 0; at <= TEXT.length; at += 1) {
    const stream = new EventStream();
    assert.deepEqual([...stream.receive(TEXT.slice(0, at)), ...stream.receive(TEXT.slice(at))], EVENTS, `cut at ${at}`);
  }
});

test("an event that is cut off is none", () => {
  assert.deepEqual(new EventStream().receive('id: r-1\ndata: {"type":"token"'), []);
  assert.deepEqual(new EventStream().receive('id: r-1\ndata: {"type":"token"}\n'), []);
});

/** A reading of these events, numbered from 1. */
function read(...events) {
  const reading = new Reading("r");
  events.forEach((event, at) => reading.take(at + 1, event));
  return reading;
}

const token = (text) => ({ type: "token", text });

test("tokens are the text, and an event that was seen is not taken again", () => {
  const reading = read(token("one "), token("two"));
  reading.take(2, token("two"));
  reading.take(1, token("one "));
  assert.equal(reading.text, "one two");
  assert.equal(reading.last, 2);
});

test("a revision voids what was told before", () => {
  const reading = read(token("wrong"), { type: "revision", detail: "The model was cut off." }, token("right"));
  assert.equal(reading.text, "right");
  assert.equal(reading.notice, "The model was cut off.");
});

test("a restart voids what was not kept, and what was kept stays", () => {
  const reading = read({ type: "sources", sources: ["a"] }, token("kept "), token("lost "), token("lost too"));
  reading.take(20, { type: "restart", keep: 2 });
  assert.equal(reading.text, "kept ");
  assert.deepEqual(reading.sources, ["a"]);
  reading.take(21, token("and new"));
  assert.equal(reading.text, "kept and new");
  assert.equal(reading.last, 21);
  reading.take(40, { type: "restart", keep: 21 });
  assert.equal(reading.text, "kept and new");
});

test("an event without a number moves no position", () => {
  const reading = read(token("x"));
  reading.take(null, { type: "state", status: "pending", place: 3 });
  assert.deepEqual([reading.last, reading.status, reading.place], [1, "pending", 3]);
});

test("the whole answer replaces what was put together, and the end is the end", () => {
  const response = { response: "All of it. [1]", sources: ["s"], knowledge_updates: [{ id: "r-1" }] };
  const reading = read(token("All of"), { type: "complete", response }, { type: "done", status: "completed" });
  assert.deepEqual([reading.text, reading.sources, reading.isOver, reading.status], ["All of it. [1]", ["s"], true, "completed"]);
  reading.take(null, { type: "state", status: "running" });
  assert.equal(reading.status, "completed");
});

test("a failure says why, and what was told stays", () => {
  const reading = read(token("half"), { type: "error", detail: "The model is down." }, { type: "done", status: "failed" });
  assert.deepEqual([reading.text, reading.error, reading.status], ["half", "The model is down.", "failed"]);
});

test("types that nobody knows are passed over", () => {
  assert.equal(read(token("a"), { type: "tomorrow" }, token("b")).text, "ab");
});
