// Requests as commands, and the addresses of links.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { curl, wait } from "../../../src/app/page/api.mjs";
import { linkFrom, passageAddress } from "../../../src/app/page/links.mjs";

/** The words that a shell makes of a command. */
const inShell = (command) => execFileSync("sh", ["-c", `printf '%s\\0' ${command}`]).toString().split("\0").slice(0, -1);

test("a command says to a shell just what the page has asked", () => {
  const body = `{"message":"it's \\"$HOME\\" \`id\` \\\\ !! \n"}`;
  assert.deepEqual(inShell(curl("POST", "/chat/async", { "Content-Type": "application/json" }, body)), [
    "curl", "-H", "Content-Type: application/json", "--data-binary", body, "http://localhost:8000/chat/async",
  ]);
  assert.deepEqual(inShell(curl("GET", "/notes/file/a%20b.md")), ["curl", "http://localhost:8000/notes/file/a%20b.md"]);
  assert.deepEqual(inShell(curl("DELETE", "/tasks/1")), ["curl", "-X", "DELETE", "http://localhost:8000/tasks/1"]);
  assert.deepEqual(inShell(curl("POST", "/sync")), ["curl", "-X", "POST", "http://localhost:8000/sync"]);
  assert.deepEqual(inShell(curl("GET", "/chat/task/1/stream?after=2")), ["curl", "-N", "http://localhost:8000/chat/task/1/stream?after=2"]);
});

test("waits become longer and have a bound", () => {
  for (let tried = 1; tried < 100; tried += 1) assert.ok(wait(tried) > 0 && wait(tried) <= 5000, `${tried}`);
  assert.ok(wait(1) < wait(10));
});

test("a passage's address names its note and its bytes", () => {
  const source = { path: "a b/c&d?.md", start: 3, end: 9, hash: "ff" };
  assert.equal(passageAddress(source), "#/note/a%20b/c%26d%3F.md?start=3&end=9&hash=ff");
});

test("a link leads where the server says, and asks where it has not said", () => {
  const known = new Map([["tea", "drinks/tea.md"], ["nobody", null], ["drinks/cup", "drinks/cup.md"]]);
  const link = linkFrom(["drinks/pot.md"], known);
  assert.deepEqual(link("wiki", "Tea", "Tea", ""), { href: "#/note/drinks/tea.md" });
  assert.deepEqual(link("wiki", "Tea", "Tea", "Green tea"), { href: "#/note/drinks/tea.md?heading=Green%20tea" });
  assert.deepEqual(link("path", "./cup", "Cup", ""), { href: "#/note/drinks/cup.md" });
  assert.deepEqual(link("wiki", "", "Heading", "Heading"), { href: "#/note/drinks/pot.md?heading=Heading" });
  assert.equal(link("wiki", "Nobody", "Nobody", "").className, "missing");
  assert.equal(link("wiki", "Later/One", "x", "").href, "#/link/wiki/Later%2FOne?from=drinks%2Fpot.md");
  assert.equal(linkFrom([])("wiki", "Tea", "Tea", "").href, "#/link/wiki/Tea?");
});
