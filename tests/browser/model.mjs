// A model's server that says a word when its test says so, and not before.
//
// It speaks the streams of OpenAI's chat completions and keeps what it was asked. A test takes the requests one by one with
// `asked()`, and answers each with `tokens()` and `end()`: what a page has been told is then exact at any moment, and nobody
// has to wait for some time to pass.

import http from "node:http";

/** The answer to one request, told piece by piece. */
export class Reply {
  #response;
  #isBegun = false;

  constructor(body, response) {
    /** What was asked. */
    this.body = body;
    this.#response = response;
    /** Whoever asked has left before the end. */
    this.isLeft = new Promise((resolve) => response.on("close", () => resolve(!response.writableFinished)));
  }

  /** Says them, each in an event of its own. */
  tokens(...texts) {
    for (const content of texts) this.#choice({ content }, null);
  }

  /** Calls a tool, and ends. */
  calls(name, parameters) {
    const call = { index: 0, id: `call-of-${name}`, type: "function", function: { name, arguments: JSON.stringify(parameters) } };
    this.#choice({ tool_calls: [call] }, null);
    this.end("tool_calls");
  }

  /** Says why it ends, what it has used, and that this was all. */
  end(finish = "stop") {
    this.#choice({}, finish);
    this.#event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 } });
    this.#response.end("data: [DONE]\n\n");
  }

  /** Says all of it, word by word, and ends. */
  answer(text) {
    this.tokens(...text.split(/(?<= )/));
    this.end();
  }

  #choice(delta, finish_reason) {
    this.#event({ choices: [{ index: 0, delta, finish_reason }] });
  }

  #event(event) {
    if (!this.#isBegun) this.#response.writeHead(200, { "Content-Type": "text/event-stream" });
    this.#isBegun = true;
    this.#response.write(`data: ${JSON.stringify(event)}\n\n`);
  }
}

/** Listens on a free port of 127.0.0.1 from `start()` until `stop()`. */
export class ScriptedModel {
  #waiting = [];
  #replies = [];

  /** The model that a server of ours asks when it is started with `flags`. */
  static async start() {
    const model = new ScriptedModel();
    model.server = http.createServer((request, response) => model.#receive(request, response));
    await new Promise((resolve) => model.server.listen(0, "127.0.0.1", resolve));
    model.server.unref();
    model.flags = ["--model-url", `http://127.0.0.1:${model.server.address().port}/v1`, "--model", "scripted"];
    return model;
  }

  async #receive(request, response) {
    let text = "";
    for await (const piece of request.setEncoding("utf8")) text += piece;
    const reply = new Reply(JSON.parse(text), response);
    const next = this.#waiting.shift();
    if (next) next(reply);
    else this.#replies.push(reply);
  }

  /** The next request that nobody has taken yet, once it is there, as the reply to it. */
  asked() {
    if (this.#replies.length > 0) return Promise.resolve(this.#replies.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends it, and every connection to it. */
  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
