// The notes as tools, as the official TypeScript SDKs of MCP have them: version 2 in both eras of the protocol, version 1,
// which knows the older alone, and the package for tasks. Called by `run`, which has set where the server is.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { cp, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const STATELESS = "2026-07-28";
const GARDEN = process.env.ONELOOP_GARDEN;
const READING = ["ask", "search_notes", "read_note", "list_links"];
const processes = [];

function end(code) {
  processes.forEach((process) => process.kill("SIGKILL"));
  process.exit(code);
}

function holds(claim, condition, seen) {
  if (!condition) {
    console.log(`FAILED mcp in node: ${claim}`);
    console.log("seen:", JSON.stringify(seen, null, 1) ?? seen);
    end(1);
  }
  console.log(`ok mcp in node: ${claim}`);
}

setTimeout(() => holds("all is said within four minutes", false), 240_000).unref();
process.on("unhandledRejection", (error) => holds("nothing is thrown that nobody expects", false, String(error.stack)));

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(look, seconds = 15) {
  for (const over = Date.now() + seconds * 1000; Date.now() < over; await pause(30)) {
    const seen = await look();
    if (seen) return seen;
  }
  return undefined;
}

/// A server of ours, which has read its notes.
async function oneloop(notes, ...flags) {
  const server = spawn(process.env.ONELOOP_BINARY, ["serve", notes, "--listen", "127.0.0.1:0", "--state", "none", ...flags], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  processes.push(server);
  const [line] = await new Promise((resolve) => createInterface(server.stdout).once("line", (line) => resolve([line])));
  const url = line.replace("listening on ", "");
  const get = async (where) => (await fetch(url + where)).json();
  await until(async () => (await get("/health")).index.state === "ready");
  return { url, get, newest: (status) => until(async () => {
    const [task] = (await get("/tasks?limit=1")).tasks;
    return task?.status === status && task.task_id;
  }) };
}

/// A model that says a word now and then until it is let go, and an answer then.
async function slowModel() {
  const model = { goes: false };
  const server = createServer(async (request, answer) => {
    request.resume();
    answer.writeHead(200, { "content-type": "text/event-stream" });
    const say = (content, finish_reason = null) =>
      answer.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`);
    for (let number = 0; number < 600 && !model.goes && !answer.destroyed; number++) {
      say(`word${number} `);
      await pause(40);
    }
    say("At the root.");
    say("", "stop");
    answer.end("data: [DONE]\n\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return Object.assign(model, { url: `http://127.0.0.1:${server.address().port}/v1` });
}

/// Connects a client of version 2, in this mode, or of version 1.
async function connect(server, mode, heard = () => {}) {
  const url = new URL(`${server.url}/mcp`);
  const info = { name: "interop", version: "1" };
  const client = mode === "v1" ? new Client1(info) : new Client(info, { versionNegotiation: { mode } });
  const transport = mode === "v1" ? new Transport1(url) : new StreamableHTTPClientTransport(url);
  await client.connect(transport);
  const receive = transport.onmessage;
  transport.onmessage = (message, extra) => {
    heard(message);
    return receive(message, extra);
  };
  return client;
}

function told(result) {
  const value = result.structuredContent;
  if (result.isError || JSON.stringify(JSON.parse(result.content[0].text)) !== JSON.stringify(value)) {
    holds("a tool gives what it has twice", false, result);
  }
  return value;
}

const call = (client, name, args, options) =>
  client instanceof Client1
    ? client.callTool({ name, arguments: args }, undefined, options)
    : client.callTool({ name, arguments: args }, options);
const codeOf = (promise) => promise.then((value) => value, (error) => error.code);

const MODES = { auto: "auto", pinned: { pin: STATELESS }, legacy: "legacy", v1: "v1" };
const isStateless = (name) => name === "auto" || name === "pinned";

// --- Reading ---

const notes = await oneloop(GARDEN, "--writes", "off");
for (const [name, mode] of Object.entries(MODES)) {
  const client = await connect(notes, mode);
  if (name !== "v1") {
    const era = client.getProtocolEra();
    holds(`${name}: the era is what it should be`, era === (isStateless(name) ? "modern" : "legacy"), era);
  }
  const { tools } = await client.listTools();
  holds(`${name}: tools are listed, those that write left out`,
    JSON.stringify(tools.map((tool) => tool.name)) === JSON.stringify(READING), tools);
  holds(`${name}: they only read, and say so`, tools.every((tool) => tool.annotations.readOnlyHint && tool.outputSchema), tools);
  const found = told(await call(client, "search_notes", { query: "compost heap", limit: 2 }));
  const [hit] = found.results;
  holds(`${name}: a search finds passages`, hit.path === "compost.md" && found.results.length <= 2, found);
  const window = told(await call(client, "read_note", { path: hit.path, start: hit.start, length: hit.end - hit.start }));
  holds(`${name}: a passage stands in its note where the search says`, window.text === hit.text, window);
  const links = told(await call(client, "list_links", { path: "compost.md" }));
  holds(`${name}: links are listed`, links.title === "Compost", links);
  const answer = told(await call(client, "ask", { message: "How often is the compost heap turned?" }));
  holds(`${name}: a question is answered`, answer.response.includes("third week"), answer);
  const wrong = await call(client, "search_notes", { query: "x", limit: 99 });
  holds(`${name}: a wrong call says what is wrong`, wrong.isError && wrong.content[0].text.includes("from 1 to 12"), wrong);
  const code = await codeOf(call(client, "create_note", { title: "x", content: "y" }));
  holds(`${name}: a tool that there is not is refused`, code === -32602, code);
  if (name === "legacy" || name === "v1") {
    holds(`${name}: a ping is answered`, JSON.stringify(await client.ping()) === "{}");
  }
  await client.close();
}

// --- What takes long ---

const model = await slowModel();
const slow = await oneloop(GARDEN, "--writes", "off", "--model-url", model.url, "--model", "slow", "--disconnect-grace", "60");
for (const [name, mode] of Object.entries(MODES)) {
  model.goes = false;
  const runs = new Set();
  const client = await connect(slow, mode, (message) => {
    const run = message.params?._meta?.["oneloop/run_id"];
    if (run) runs.add(run);
  });
  const progress = [];
  const onprogress = (told) => progress.push(told);
  const asked = call(client, "ask", { message: `How are tomatoes watered, ${name}?` }, { onprogress });
  await until(() => progress.length >= 4);
  const run = await slow.newest("running");
  model.goes = true;
  const answer = told(await asked);
  const grows = progress.every((told, at) => at === 0 || told.progress > progress[at - 1].progress);
  holds(`${name}: an answer that takes long tells its progress`, progress.length >= 4 && grows, progress);
  holds(`${name}: and which run it is`, answer.run_id === run && runs.has(run) && runs.size === 1, [answer, run, [...runs]]);
  holds(`${name}: and then it is there`, answer.response.endsWith("At the root."), answer);

  for (const streams of [true, false]) {
    model.goes = false;
    const stop = new AbortController();
    const options = { signal: stop.signal, ...(streams ? { onprogress } : {}) };
    const left = call(client, "ask", { message: `How are leeks watered, ${name} ${streams}?` }, options).catch(() => "left");
    const run = await slow.newest("running");
    stop.abort();
    holds(`${name}: a call can be given up`, (await left) === "left");
    const how = streams ? "a stream" : "an answer";
    if (isStateless(name)) {
      holds(`${name}: to leave ${how} cancels the run at once`, (await slow.newest("cancelled")) === run, run);
    } else {
      await pause(300);
      const task = await slow.get(`/chat/task/${run}`);
      holds(`${name}: to leave ${how} does not cancel the run`, task.status === "running", task);
      if (!streams) await client.close();
      model.goes = true;
      holds(`${name}: which goes on to its end`, (await slow.newest("completed")) === run, run);
    }
  }
  await client.close();
}

// --- Tasks ---

{
  const client = await connect(slow, "auto");
  let number = 1000;
  const seen = [];
  const framing = {
    protocolVersion: STATELESS,
    clientInfo: { name: "interop", version: "1" },
    clientCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
  };
  // The package leaves it to its host to send what the SDK does not know.
  const rawDispatch = async (request, options) => {
    const headers = new Headers({
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": STATELESS,
      "mcp-method": request.method,
      "mcp-name": request.params.name ?? request.params.taskId,
    });
    // It names the task as well, and a field that stands there twice says neither.
    Object.entries(options.context?.headers ?? {}).forEach(([name, value]) => headers.set(name, value));
    const body = JSON.stringify({ jsonrpc: "2.0", id: number++, ...request });
    const answer = await (await fetch(`${slow.url}/mcp`, { method: "POST", headers, body, signal: options.signal })).json();
    seen.push([request.method, answer]);
    return answer.error ? { kind: "error", error: answer.error } : { kind: "result", result: answer.result };
  };
  const session = createTaskSessionFromClient(client, { endpointId: "interop", rawDispatch, v2RequestFraming: framing });
  model.goes = true;
  const execution = await session.callTool("ask", { message: "How are peas watered?" });
  const { outcome } = await execution.settle();
  const answer = resultFromTaskOutcome(outcome);
  holds("tasks: a question becomes a task, and its answer comes", told(answer).response.includes("At the root."), seen);
  const [[method, handle]] = seen;
  holds("tasks: which is the run", method === "tools/call" && handle.result.resultType === "task" &&
    handle.result.taskId === answer.structuredContent.run_id, seen);
  model.goes = false;
  const another = await session.callTool("ask", { message: "How are beans watered?" });
  const run = await slow.newest("running");
  await rawDispatch({ method: "tasks/cancel", params: { taskId: run, _meta: {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientCapabilities": framing.clientCapabilities,
  } } }, {});
  const { outcome: cancelled } = await another.settle();
  holds("tasks: one that is cancelled ends so", JSON.stringify(cancelled).includes("cancel"), cancelled);
  await session.close();
  await client.close();
}

// --- Writing ---

for (const [name, mode] of Object.entries({ auto: "auto", legacy: "legacy", v1: "v1" })) {
  const folder = await mkdtemp(path.join(tmpdir(), "oneloop-mcp-"));
  await cp(GARDEN, folder, { recursive: true });
  const inbox = await oneloop(folder, "--writes", "inbox");
  let client = await connect(inbox, mode);
  const names = async () => (await client.listTools()).tools.map((tool) => tool.name).slice(READING.length);
  holds(`${name}: an inbox has one tool that writes`, (await names()).join() === "create_note", await names());
  const made = told(await call(client, "create_note", { title: "Peas", content: "They climb." }));
  const text = await readFile(path.join(folder, made.path), "utf8");
  holds(`${name}: which makes a note`, made.path === "Inbox/Peas.md" && text.includes("They climb."), made);
  await client.close();

  const all = await oneloop(folder, "--writes", "all");
  client = await connect(all, mode);
  holds(`${name}: where all may be written, three do`, (await names()).join() === "create_note,append_note,link_notes", await names());
  const added = told(await call(client, "append_note", { path: "Inbox/Peas", content: "High." }));
  holds(`${name}: something is added to a note`, added.action === "appended" && added.added.end > added.added.start, added);
  const linked = told(await call(client, "link_notes", { from: "Inbox/Peas.md", to: "compost.md", why: "It feeds them." }));
  holds(`${name}: and linked to another`, linked.action === "linked", linked);
  const again = await call(client, "link_notes", { from: "Inbox/Peas.md", to: "compost.md" });
  holds(`${name}: but not twice`, again.isError && again.content[0].text.includes("already"), again);
  await client.close();
}

end(0);
