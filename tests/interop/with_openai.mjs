// What OpenAI's own library for JavaScript makes of /v1. Called by `run`, which has set the addresses.
//
// The model and the embedding server behind the servers are scripted: what is tried is what a client is told of a run, and
// that depends on when a model says what.

import { spawn } from "node:child_process";
import http from "node:http";
import OpenAI from "openai";

const notes = process.env.ONELOOP_GARDEN;
const said = "Every second morning [1], at the root.";

function holds(claim, condition, seen) {
  if (!condition) {
    console.log(`FAILED openai.js: ${claim}`);
    console.log("seen:", seen);
    process.exit(1);
  }
  console.log(`ok openai.js: ${claim}`);
}

const watchdog = setTimeout(() => {
  console.log("FAILED openai.js: something does not end");
  process.exit(1);
}, 120_000);

/// Asks until there is an answer; nothing when the time is over.
async function until(look, milliseconds = 5000) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const seen = await look();
    if (seen) {
      return seen;
    }
  }
}

/// The error that a call raises, if it is of this class.
async function refused(kind, call) {
  const error = await call().then((answer) => ({ answer }), (error) => error);
  if (error.constructor !== kind) {
    holds(`it raises ${kind.name}`, false, error);
  }
  return error;
}

// --- Servers ---

/// A model's server and an embedding server: `script(body, say, response)` answers each request.
async function scripted(script) {
  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) {
      text += piece;
    }
    const say = (delta, rest = {}) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }], ...rest })}\n\n`);
    response.on("error", () => {});
    await script(JSON.parse(text), say, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.closeAllConnections() || server.close() };
}

function begin(response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
}

function end(response) {
  response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' +
    'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\ndata: [DONE]\n\n');
}

/// A server of ours that has read its notes, and the library's client for it.
async function start(...flags) {
  const { ONELOOP_BINARY: binary } = process.env;
  const server = spawn(binary, ["serve", notes, "--listen", "127.0.0.1:0", "--state", "none", "--no-access-log", ...flags],
    { stdio: ["ignore", "pipe", "ignore"] });
  process.on("exit", () => server.kill("SIGKILL"));
  const line = await new Promise((resolve) => server.stdout.setEncoding("utf8").once("data", resolve));
  const url = line.trim().replace("listening on ", "");
  const get = async (path) => (await fetch(url + path)).json();
  await until(async () => (await get("/health")).index.state === "ready", 30_000);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  return { url, get, client, stop: () => server.kill("SIGKILL"), status: async (run) => (await get(`/chat/task/${run}`)).status };
}

const asked = (text, fields = {}) => ({ model: "oneloop", messages: [{ role: "user", content: text }], ...fields });

// --- Answers and errors ---

{
  const { client, url, stop, status, get } = await start();
  const completion = await client.chat.completions.create(asked("How are tomatoes watered?"));
  const { message, finish_reason } = completion.choices[0];
  holds("a completion is an answer out of the notes, with its sources", message.content.includes("never on the leaves") &&
    finish_reason === "stop" && completion.sources[0].path === "tomatoes.md", completion);
  holds("its id names the run", completion.id === `chatcmpl-${completion.run_id}` &&
    (await status(completion.run_id)) === "completed", completion.id);
  const names = [];
  for await (const model of client.models.list()) {
    names.push(model.id);
  }
  holds("the models are listed", names.join() === "oneloop,oneloop-notes", names);
  holds("and one of them is found", (await client.models.retrieve("oneloop")).id === "oneloop");
  const headers = { "X-OpenWebUI-Chat-Id": "a-chat-of-node" };
  await client.chat.completions.create(asked("When is the compost turned?"), { headers });
  await client.chat.completions.create(asked("And with what?"), { headers });
  const session = await get("/sessions/a-chat-of-node");
  holds("under X-OpenWebUI-Chat-Id the server keeps a session", session.messages[3]?.content.includes("fork"), session);

  const create = (fields, options) => () => client.chat.completions.create(asked("tea", fields), options);
  let error = await refused(OpenAI.BadRequestError, create({ n: 2 }));
  holds("two answers are BadRequestError, which names the place", error.param === "n", error);
  error = await refused(OpenAI.NotFoundError, create({ model: "gpt-4o" }));
  holds("another model is NotFoundError", error.code === "model_not_found", error);
  error = await refused(OpenAI.APIError, create({ messages: asked("x".repeat(300_000)).messages }));
  holds("a body that is too large is 413", error.status === 413, error);
  error = await refused(OpenAI.APIError, create({}, { headers: { "Content-Type": "text/plain" } }));
  holds("a body that is no JSON is 415", error.status === 415, error);
  error = await refused(OpenAI.NotFoundError, () => client.embeddings.create({ model: "small", input: "tea" }));
  holds("with embeddings off, NotFoundError says how to have them", error.message.includes("--embed-url"), error);

  // What a page may send is asked for by its browser; what there would be to ask for is what the library sends.
  const sent = new Set();
  const noting = async (address, options) => {
    new Headers(options.headers).forEach((_, name) => sent.add(name));
    return fetch(address, options);
  };
  const page = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", fetch: noting, dangerouslyAllowBrowser: true });
  await page.chat.completions.stream(asked("How are tomatoes watered?")).finalChatCompletion();
  await page.chat.completions.create(asked("How are tomatoes watered?"));
  const preflight = await fetch(`${url}/v1/chat/completions`, { method: "OPTIONS", headers: { Origin: "http://localhost:5173" } });
  const allowed = preflight.headers.get("access-control-allow-headers").toLowerCase().split(/, */);
  // A browser sets these by itself, or they are always allowed.
  const usual = ["accept", "content-length", "user-agent"];
  const missing = [...sent].filter((name) => !allowed.includes(name) && !usual.includes(name));
  holds("a page may send all that the library sends", sent.has("x-stainless-lang") && missing.length === 0, missing);
  stop();
}

// --- Streams, and their ends ---

{
  let goOn;
  const held = new Promise((resolve) => (goOn = resolve));
  const model = await scripted(async (body, say, response) => {
    const question = JSON.stringify(body.messages.at(-1));
    if (question.includes("fails")) {
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"not this one"}}');
      return;
    }
    begin(response);
    for (const word of said.split(/(?<= )/)) {
      say({ content: word });
    }
    if (question.includes("slowly")) {
      await held;
    }
    end(response);
  });
  const flags = ["--model-url", model.url, "--model", "scripted", "--no-fallback", "--disconnect-grace", "600"];
  const { client, url, stop, status, get } = await start(...flags);

  const chunks = [];
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create(asked("How are tomatoes watered?", options))) {
    chunks.push(chunk);
  }
  const deltas = chunks.slice(0, -1).map((chunk) => chunk.choices[0].delta);
  const text = deltas.map((delta) => delta.content ?? "").join("");
  holds("a stream says who speaks, then what", deltas[0].role === "assistant" && text === said, deltas);
  const [last, counts] = chunks.slice(-2);
  holds("then that it is over, with the sources", last.choices[0].finish_reason === "stop" &&
    last.sources[0].path === "tomatoes.md", last);
  holds("and what was counted, as it was asked for", counts.choices.length === 0 && counts.usage.total_tokens === 12, counts);
  const runner = client.chat.completions.stream(asked("Where do the hives stand?"));
  const final = await runner.finalChatCompletion();
  holds("the library's own reader of streams puts the answer together", final.choices[0].message.content === said, final);

  const firstWords = async (stream) => {
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) {
        return chunk.id.replace("chatcmpl-", "");
      }
    }
  };
  // Leaving the loop ends the stream, and so the request.
  const run = await firstWords(await client.chat.completions.create(asked("Tell me slowly of bees.", { stream: true })));
  const began = performance.now();
  holds("a run is cancelled as soon as its stream is left, without a grace",
    (await until(async () => (await status(run)) === "cancelled")) && performance.now() - began < 2000, await status(run));

  const stopper = new AbortController();
  const stream = await client.chat.completions.create(asked("Tell me slowly of pears.", { stream: true }), { signal: stopper.signal });
  let aborted;
  for await (const chunk of stream) {
    aborted = chunk.id.replace("chatcmpl-", "");
    stopper.abort();
  }
  holds("so it is when the request is aborted", await until(async () => (await status(aborted)) === "cancelled"), await status(aborted));

  const cancelled = await refused(OpenAI.APIError, async () => {
    for await (const chunk of await client.chat.completions.create(asked("Tell me slowly of July.", { stream: true }))) {
      if (chunk.choices[0].delta.content) {
        await fetch(`${url}/tasks/${chunk.id.replace("chatcmpl-", "")}`, { method: "DELETE" });
      }
    }
  });
  holds("a run that somebody else cancels ends its stream with an APIError", cancelled.code === "run_cancelled", cancelled);
  const runs = (await get("/tasks")).tasks.length;
  const failed = await refused(OpenAI.InternalServerError, () => client.chat.completions.create(asked("This fails.")));
  holds("a run that fails is InternalServerError, and not asked for again", failed.status === 500 &&
    (await get("/tasks")).tasks.length === runs + 1, failed);
  goOn();
  stop();
  model.close();
}

// --- A server that is full ---

{
  let goOn;
  const held = new Promise((resolve) => (goOn = resolve));
  const model = await scripted(async (body, say, response) => {
    await held;
    begin(response);
    say({ content: said });
    end(response);
  });
  const flags = ["--model-url", model.url, "--model", "scripted", "--runs-max", "1", "--waiting-max", "1"];
  const { url, stop } = await start(...flags);
  for (const message of ["Tell me of bees.", "Tell me of pears."]) {
    await fetch(`${url}/chat/async`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
  }
  const statuses = [];
  const counting = async (...request) => {
    const response = await fetch(...request);
    statuses.push(response.status);
    // Once it was refused there is room.
    goOn();
    return response;
  };
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", fetch: counting });
  const began = performance.now();
  const completion = await client.chat.completions.create(asked("How are tomatoes watered?"));
  holds("a server that is full is asked again after Retry-After, and answers", statuses[0] === 503 && statuses.at(-1) === 200 &&
    performance.now() - began >= 990 && completion.choices[0].message.content === said, statuses);
  stop();
  model.close();
}

// --- Embeddings ---

{
  const vector = (text) => [Math.fround(Math.sin(text.length)), Math.fround(Math.cos(text.length)), Math.fround(1 / 3)];
  const model = await scripted(async (body, say, response) => {
    const data = body.input.map((text, index) => ({ index, embedding: vector(text) }));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ object: "list", data, usage: { prompt_tokens: 3, total_tokens: 3 } }));
  });
  const { client, stop } = await start("--embed-url", model.url, "--embed-model", "small");
  const texts = ["tea", "milk", "honey"];
  for (const fields of [{}, { encoding_format: "float" }]) {
    const list = await client.embeddings.create({ model: "small", input: texts, ...fields });
    const isSame = list.data.every((item, index) => item.embedding.every((it, at) => Math.fround(it) === vector(texts[index])[at]));
    holds(`texts are embedded to the last bit, ${fields.encoding_format ?? "as the library asks by itself"}`, isSame &&
      list.data.length === 3 && list.usage.total_tokens === 3, list);
  }
  const error = await refused(OpenAI.BadRequestError, () => client.embeddings.create({ model: "small", input: [1, 2] }));
  holds("tokens are BadRequestError", error.param === "input[0]", error);
  stop();
  model.close();
}

clearTimeout(watchdog);
// fetch would keep its connections for a while.
process.exit(0);
