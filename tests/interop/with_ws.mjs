// What Node makes of `GET /ws`: the package `ws`, and the WebSocket that Node has of its own.
// Called by `run`, which has set the address.

import { WebSocket as Ws } from "ws";

const url = process.env.ONELOOP_URL;
const address = url.replace("http://", "ws://") + "/ws";
const question = "In which order does a turn run its phases?";

function holds(claim, condition, seen) {
  if (!condition) {
    console.log(`FAILED ws: ${claim}`);
    console.log("seen:", seen);
    process.exit(1);
  }
  console.log(`ok ws: ${claim}`);
}

/// A socket whose messages are heard one at a time.
function talk(socket) {
  const heard = [];
  const waiting = [];
  const hear = (message) => (waiting.length > 0 ? waiting.shift()(message) : heard.push(message));
  socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  const closed = new Promise((resolve) => socket.addEventListener("close", (event) => resolve(event.code)));
  return {
    socket,
    closed,
    opened: new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    }),
    say: (message) => socket.send(JSON.stringify(message)),
    next: () => (heard.length > 0 ? Promise.resolve(heard.shift()) : new Promise((resolve) => waiting.push(resolve))),
    async until(kind) {
      const passed = [];
      do {
        passed.push(await this.next());
      } while (passed.at(-1).type !== kind);
      return passed;
    },
  };
}

const kinds = [["ws", (...rest) => new Ws(...rest)]];
// Node has one of its own since 22.
if (globalThis.WebSocket !== undefined) {
  kinds.push(["Node's own", (to) => new globalThis.WebSocket(to)]);
}

for (const [name, open] of kinds) {
  const socket = talk(open(address));
  await socket.opened;
  socket.say({ message: question, id: 1 });
  const events = await socket.until("done");
  const types = events.map((event) => event.type).filter((type, at, all) => type !== all[at - 1]);
  holds(`${name}: a chat is accepted and told to its end`,
    types.join() === "accepted,status,sources,token,complete,done", types);
  const text = events.filter((event) => event.type === "token").map((event) => event.text).join("");
  const { response } = events.find((event) => event.type === "complete").response;
  holds(`${name}: its tokens are its answer`, text === response && text.includes("pending"), text);

  const runs = 8;
  for (let id = 0; id < runs; id++) {
    socket.say({ type: "chat", message: question, id });
  }
  const done = new Set();
  while (done.size < runs) {
    done.add((await socket.until("done")).at(-1).run_id);
  }
  holds(`${name}: several runs share one socket`, done.size === runs);
  socket.say({ type: "resume", run_id: events[0].run_id, after: events.at(-2).seq });
  const rest = await socket.until("done");
  holds(`${name}: a run is resumed where it was left`, rest.map((event) => event.type).join() === "state,done", rest);
  socket.say({ type: "ping" });
  holds(`${name}: a ping has a pong`, (await socket.next()).type === "pong");
  socket.socket.close(1000, "enough");
  holds(`${name}: a close is answered with its code`, (await socket.closed) === 1000);
}

{
  const socket = talk(new Ws(address));
  await socket.opened;
  const ponged = new Promise((resolve) => socket.socket.on("pong", (payload) => resolve(payload.toString())));
  socket.socket.ping("are you there?");
  holds("a ping frame is answered with what it held", (await ponged) === "are you there?");
  socket.socket.send(Buffer.from([1, 2, 3]));
  holds("a binary message is closed with 1003", (await socket.closed) === 1003, await socket.closed);
  const large = talk(new Ws(address));
  await large.opened;
  large.socket.send("x".repeat(300_000));
  holds("one that is too long is closed with 1009", (await large.closed) === 1009, await large.closed);
  const foreign = new Ws(address, { origin: "http://evil.example" });
  const status = await new Promise((resolve) => foreign.on("unexpected-response", (_, answer) => resolve(answer.statusCode)));
  holds("a page of another origin is refused with 403", status === 403, status);
}
