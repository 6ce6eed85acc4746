// What Node makes of the server: fetch, which keeps connections, and EventSource, which comes back when it is cut off.
// Called by `run`, which has set the address.

import { spawn } from "node:child_process";
import net from "node:net";
import { EventSource } from "eventsource";

const url = process.env.ONELOOP_URL;
const question = { message: "In which order does a turn run its phases?" };

function holds(claim, condition, seen) {
  if (!condition) {
    console.log(`FAILED node: ${claim}`);
    console.log("seen:", seen);
    process.exit(1);
  }
  console.log(`ok node: ${claim}`);
}

const ask = async (path, options) => (await fetch(url + path, options)).json();
const post = (path, body, options = {}) =>
  fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...options,
  });

// --- fetch ---

{
  const before = (await ask("/info")).connections.accepted;
  for (let index = 0; index < 20; index++) {
    await ask("/health");
    await (await post("/chat", question)).json();
  }
  const after = (await ask("/info")).connections.accepted;
  holds("fetch keeps its connection over forty requests", after - before <= 1, { before, after });

  const many = await Promise.all(Array.from({ length: 50 }, () => post("/chat", question)));
  const answers = await Promise.all(many.map((answer) => answer.json()));
  const runs = new Set(answers.map((answer) => answer.run_id));
  holds("fifty questions at once have fifty answers", many.every((answer) => answer.ok) && runs.size === 50, runs.size);

  const stream = await post("/chat/stream", question);
  let text = "";
  for await (const piece of stream.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
  }
  holds("a stream is read to its end", text.endsWith('\n\n') && text.includes('data: {"type":"done"'), text);

  const uploaded = await fetch(url + "/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Blob([JSON.stringify(question)]).stream(),
    duplex: "half",
  });
  holds("a streamed upload is answered", uploaded.status === 200, uploaded.status);

  const stop = new AbortController();
  const aborted = await post("/chat/stream", question, { signal: stop.signal });
  stop.abort();
  const ended = await aborted.text().then(() => "read", (error) => error.name);
  holds("a fetch that is aborted ends, and the server goes on", ["AbortError", "read"].includes(ended) && (await ask("/health")).status === "healthy", ended);
}

// --- EventSource, behind a proxy that cuts ---

/// Passes bytes on, and notes each request's head. The first `cuts` connections are cut behind their second event.
async function cuttingProxy(cuts) {
  const target = new URL(url);
  const heads = [];
  const server = net.createServer((client) => {
    const upstream = net.connect(target.port, target.hostname);
    const number = heads.push("") - 1;
    let passed = "";
    client.on("data", (bytes) => {
      heads[number] += bytes.toString("latin1");
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      if (number >= cuts) {
        client.write(bytes);
        return;
      }
      const before = passed.length;
      passed += bytes.toString("latin1");
      const body = passed.indexOf("\r\n\r\n");
      const first = body < 0 ? -1 : passed.indexOf("\n\n", body + 4);
      const second = first < 0 ? -1 : passed.indexOf("\n\n", first + 2);
      if (second < 0) {
        client.write(bytes);
      } else {
        // A reset behind the second event: the client has it, and the rest of its chunk never comes.
        client.write(bytes.subarray(0, second + 2 - before), () => setImmediate(() => client.destroy()));
        upstream.destroy();
      }
    });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on("error", () => other.destroy());
      one.on("end", () => other.end());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, heads, close: () => server.close() };
}

/// Reads a task's stream as a page would: until the server says, by 204, that there is no more. `seen` hears of each
/// event as it comes.
function readAll(address, seen = () => {}) {
  return new Promise((resolve) => {
    const events = [];
    const source = new EventSource(address);
    source.onmessage = (event) => {
      events.push({ id: event.lastEventId, ...JSON.parse(event.data) });
      seen(events.at(-1));
    };
    source.onerror = (event) => {
      if (source.readyState === EventSource.CLOSED) {
        resolve({ events, code: event.code });
      }
    };
  });
}

/// Events that are the run's own. Others tell of the run or of the server, and leave the reader's place where it is.
const numbered = (events) => events.filter((event) => !["state", "restarting", "storage"].includes(event.type));

const watchdog = setTimeout(() => {
  console.log("FAILED node: an event source does not end");
  process.exit(1);
}, 60_000);

{
  const { task_id: task } = await (await post("/chat/async", question)).json();
  const proxy = await cuttingProxy(1);
  const { events, code } = await readAll(`${proxy.url}/chat/task/${task}/stream`);
  const numbers = numbered(events).map((event) => Number(event.id.split("-").at(-1)));
  // The last request may come over a connection that was kept.
  const requests = proxy.heads.join("").split("\r\n\r\n").slice(0, -1);
  const ids = requests.map((head) => head.match(/^last-event-id: *(.*?)\r?$/im)?.[1] ?? null);

  // The first event of all says where the run is, and has no id; the cut is behind the one after it.
  holds("an event source that is cut off comes back with Last-Event-ID", ids[0] === null && ids[1] === `${task}-1`, proxy.heads);
  holds("and is told where the run is each time that it joins", events.filter((event) => event.type === "state").length === 2, events);
  holds("and has every event once, in order", numbers.length > 2 && numbers.every((number, index) => number === index + 1), events);
  holds("the last one says that the run is done", events.at(-1).type === "done", events.at(-1));
  holds("having had all, it is told 204 and stays away", code === 204 && ids.at(-1) === events.at(-1).id && ids.length === 3, { code, ids });
  proxy.close();
}

// --- EventSource, over a restart ---

/// Starts a server of our own; answers it, where it listens, and a way to await a word in its log.
async function start(listen) {
  const { ONELOOP_BINARY: binary, ONELOOP_MANY: notes, ONELOOP_STATE: state } = process.env;
  const server = spawn(binary, ["serve", notes, "--listen", listen, "--state-dir", state, "--runs-max", "1"]);
  process.on("exit", () => server.kill("SIGKILL"));
  let log = "";
  const listeners = new Set();
  server.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
    listeners.forEach((look) => look());
  });
  const logged = (word) =>
    new Promise((resolve) => {
      const look = () => log.includes(word) && listeners.delete(look) && resolve();
      listeners.add(look);
      look();
    });
  const ended = new Promise((resolve) => server.on("exit", (code) => resolve(code)));
  const line = await new Promise((resolve) => server.stdout.setEncoding("utf8").once("data", resolve));
  return { server, url: line.trim().replace("listening on ", ""), logged, ended };
}

{
  // Held still while the time of its runs goes by: longer than the 10 s that a stopping server lets them go on.
  const OVER_TIME = 10_500;
  const first = await start("127.0.0.1:0");
  const begin = async (message) => {
    const answer = await fetch(`${first.url}/chat/async`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    return (await answer.json()).task_id;
  };
  const common = "ba ce di fo gu ka".split(" ").flatMap((a) => ["ran", "sem", "tis", "von"].map((b) => a + b)).join(" ");
  await Promise.all(Array.from({ length: 200 }, () => begin(common)));
  const task = await begin("baran");
  let joined;
  const isJoined = new Promise((resolve) => (joined = resolve));
  const all = readAll(`${first.url}/chat/task/${task}/stream`, joined);
  await isJoined;
  first.server.kill("SIGTERM");
  await first.logged("stopping:");
  first.server.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, OVER_TIME));
  first.server.kill("SIGCONT");
  const code = await first.ended;
  holds("a server that is stopped leaves what waits to the next, and ends well", code === 0, code);
  const second = await start(first.url.replace("http://", ""));
  const { events, code: last } = await all;
  const kinds = events.map((event) => event.type);
  const numbers = numbered(events).map((event) => Number(event.id.split("-").at(-1)));
  holds("an event source is told that the server restarts", kinds[0] === "state" && kinds[1] === "restarting", kinds);
  holds("comes back to the next process by itself", kinds[2] === "state", kinds);
  holds("and has every event of the run once, in order", numbers.length > 2 && numbers.every((number, index) => number === index + 1), events);
  holds("up to its end, and then stays away", kinds.at(-1) === "done" && last === 204, { kinds, last });
  second.server.kill("SIGKILL");
  await second.ended;
}

clearTimeout(watchdog);
// fetch would keep its connections for a while.
process.exit(0);
