"""What comes of asking a real model's server, llama.cpp's. Called by `run`, which has set the addresses.

The model is so small that what it says makes little sense. That it says it, how it comes here, and what happens when
it is not wanted any more or falls silent is what is tried.
"""

import concurrent.futures
import json
import pathlib
import socket
import time

import httpx

import claims
from claims import Reader, until
from servers import WORK, ModelServer, Oneloop, ask, end_within

NOTES = pathlib.Path(__file__).parent / "garden"
QUESTION = "How are tomatoes watered?"
# The model tells it until it is stopped, a quarter of its context later.
LONG = "Tell a long story about the bees, the shed and the compost."
CONTEXT_TOKENS = 1024
LONG_TOKENS = CONTEXT_TOKENS / 4
CROWD = 20
# Each tool that is offered makes another story of it, and that it writes is tried with a model that says what it is told to.
LOOKS_ONLY = ["--writes", "off"]

holds = claims.by("model")


def by(model, context_tokens=CONTEXT_TOKENS):
    """The flags with which a server of ours asks this one."""
    return ["--model-url", f"{model.url}/v1", "--model", "smollm2", "--context-tokens", str(context_tokens)]


def post(server, path, body):
    """Asks over a socket of its own, which ends with the answer; answers the socket."""
    address = httpx.URL(server.url)
    client_socket = socket.create_connection((address.host, address.port), timeout=60)
    data = json.dumps(body).encode()
    client_socket.sendall(b"POST %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(data), data))
    return client_socket


def streaming(server, model):
    pieces = []
    with post(server, "/chat/stream", {"message": LONG}) as client_socket:
        was_busy = None
        while piece := client_socket.recv(1 << 16):
            pieces.append(piece)
            if was_busy is None and b'"type":"token"' in piece:
                was_busy = model.busy()
    body = b"".join(pieces).partition(b"\r\n\r\n")[2].decode()
    reader = Reader()
    for identity, event in claims.events_in(body.splitlines()):
        reader.receive(identity, event)
    answer = reader.response()
    tokens = len(reader.all("token"))
    reads = sum(b'"type":"token"' in piece for piece in pieces)
    holds("llama.cpp's answer is streamed", answer and answer["answered_by"] == "model", reader.events)
    holds("its first tokens are here while it makes the next", was_busy, was_busy)
    holds(f"they come one by one, {tokens} of them in {reads} reads", tokens >= 5 and reads >= 3, pieces)
    holds("together they are the answer", reader.text() == answer["response"], (reader.text(), answer))
    holds("which tells what it has taken", answer["usage"]["prompt_tokens"] > 100
          and tokens <= answer["usage"]["completion_tokens"] <= LONG_TOKENS, (tokens, answer["usage"]))
    holds("an answer that is stopped at its longest length says so",
          "longest length" in str(answer["degraded"]), answer)


def answers(server, model):
    answer = server.chat(QUESTION)
    holds("a question about the notes is answered by the model, with its sources",
          answer["answered_by"] == "model" and answer["sources"][0]["path"] == "tomatoes.md", answer)
    said = model.said()
    again = server.chat(QUESTION)
    holds("asked again, the answer is there without it",
          again["cached"] and again["response"] == answer["response"] and model.said() == said, again)
    does = "takes the tools that it is offered" if server.model()["tools"] else "refuses tools, and is offered no more"
    holds(f"llama.cpp {does}", server.model()["failed"] == 0, server.model())

    with server.stream("When is the compost heap turned?", strategy="fast-first") as response:
        reader = Reader().read(response)
    kinds, answer = reader.kinds, reader.response()
    revision = kinds.index("revision") if "revision" in kinds else 0
    holds("fast-first: the notes answer, a revision, and the model's answer",
          "token" in kinds[:revision] and "token" in kinds[revision:], kinds)
    holds("of which the last one stands", answer["answered_by"] == "model" and reader.text() == answer["response"],
          (reader.events, answer))
    answer, said = ask(NOTES, QUESTION, *by(model))
    holds("oneloop ask is answered by the model, too", answer["answered_by"] == "model", (answer, said))


def cancelled(server, model):
    def cut_off(claim, begin, leave):
        """The model falls silent long before the end of its story."""
        before, left = model.said(), server.model()["left"]
        begun = begin()
        until(lambda: any(slot["next_token"][0]["n_decoded"] > 2 for slot in model.busy()))
        leave(begun)
        freed = until(lambda: not model.busy())
        said = model.said() - before
        holds(f"{claim}: llama.cpp stops {said:.0f} tokens into {LONG_TOKENS:.0f}",
              freed and said < LONG_TOKENS * 0.8, said)
        figures = server.model()
        holds("and no call is left", (figures["calls"], figures["left"]) == (0, left + 1), figures)

    def cancel(task_id):
        status = server.client.delete(f"/tasks/{task_id}").json()["status"]
        holds("a task that the model answers is cancelled", status == "cancelled", status)

    cut_off("a task is cancelled", lambda: server.begin(LONG), cancel)
    cut_off("who asked is gone", lambda: post(server, "/chat/stream", {"message": LONG}),
            lambda client_socket: client_socket.close())


def too_long(model):
    told = "The bees came out of their hive behind the pear tree and flew over the shed to the heap of compost. " * 8
    history = [{"role": role, "content": told} for _ in range(12) for role in ("user", "assistant")]
    with Oneloop("too-long", NOTES, *LOOKS_ONLY, *by(model, 8 * CONTEXT_TOKENS)) as server:
        with server.stream(QUESTION, conversation_history=history) as response:
            reader = Reader().read(response)
        asked = sum(event["status"] == "asking" for event in reader.all("status"))
        answer = reader.response()
        holds("a prompt that is longer than llama.cpp's context is cut and asked again", asked > 1, reader.events)
        holds(f"until there is an answer, after {asked} tries", answer["answered_by"] == "model", answer)
        holds("and that is no failure", server.model()["failed"] == 0 and server.model()["breaker"] == "closed",
              server.model())


def crowd(model):
    with Oneloop("crowd", NOTES, *LOOKS_ONLY, *by(model, 256)) as server, \
            httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client, \
            concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
        pending = {pool.submit(server.chat, f"What do {number} bees say of the shed?") for number in range(CROWD)}
        chats, took, busiest = list(pending), [], 0
        while pending:
            began = time.monotonic()
            health = client.get("/health").json()["status"]
            took.append(time.monotonic() - began)
            if health != "healthy":
                holds("a server that many ask is healthy", False, health)
            busiest = max(busiest, client.get("/info").json()["model"]["calls"])
            _, pending = concurrent.futures.wait(pending, timeout=0.01)
        by_model = [chat.result().get("answered_by") for chat in chats]
        holds(f"{CROWD} chats at once are all answered by the model", by_model == ["model"] * CROWD, by_model)
        holds(f"up to {busiest} were under way together, of which llama.cpp takes 2", busiest > 2, busiest)
        took.sort()
        p99 = took[len(took) * 99 // 100] * 1000
        holds(f"meanwhile /health answers: p99 of {len(took)} is {p99:.1f} ms", p99 < 250, took[-20:])
        longest = server.get("/info")["loop"]["longest_turn_ms"]
        holds("and no turn of the loop was longer than 10 ms", longest < 10, longest)


def restarted(model):
    """Ours is killed, and begins again."""
    flags = ["--state-dir", WORK / "model.state", *by(model)]
    reader, whole = Reader(), Reader()
    with Oneloop("restarted", NOTES, *LOOKS_ONLY, *flags) as server:
        task = server.begin(LONG)
        with server.client.stream("GET", f"/chat/task/{task}/stream") as response:
            for identity, event in claims.events_of(response):
                reader.receive(identity, event)
                if len(reader.all("token")) == 3:
                    break
            server.kill()
    last = f"{task}-{reader.numbered[-1][0]}"
    with Oneloop("restarted", NOTES, *LOOKS_ONLY, *flags) as server:
        with server.client.stream("GET", f"/chat/task/{task}/stream", headers={"Last-Event-ID": last}) as response:
            reader.read(response)
        with server.client.stream("GET", f"/chat/task/{task}/stream") as response:
            whole.read(response)
    answer = reader.response()
    holds("a reader of an answer that a crash has cut is told what is void",
          len(reader.all("restart")) == 1, reader.events)
    holds("and the model answers anew",
          answer["answered_by"] == "model" and answer["usage"]["completion_tokens"] > 5, answer)
    holds("what the reader has then is the answer, once", reader.text() == answer["response"], (reader.text(), answer))
    holds("and so is what one reads who comes only now", whole.text() == answer["response"], (whole.events, answer))


def killed(server, model):
    """The model's server is killed, and begins again."""
    reader = Reader()
    with server.stream(LONG) as response:
        for identity, event in claims.events_of(response):
            reader.receive(identity, event)
            if len(reader.all("token")) == 3:
                model.kill()
    answer = reader.response()
    holds("llama.cpp is killed in the middle of its answer: the notes answer",
          answer and answer["answered_by"] == "notes", reader.events)
    holds("with a reason", len(answer["degraded"]) == 1 and "closed the connection" in answer["degraded"][0], answer)
    holds("a revision makes void what it had said",
          len(reader.all("revision")) == 1 and reader.text() == answer["response"], reader.events)
    asked = 0
    while asked < 5 and server.model()["breaker"] == "closed":
        asked += 1
        answer = server.chat(f"Where do the hives stand, {asked}?")
        if answer["answered_by"] != "notes" or not answer["degraded"]:
            holds("the notes answer for it, and say so", False, answer)
    figures = server.model()
    holds(f"after {asked} more questions it is left alone for a while", figures["breaker"] == "open", figures)
    answer = server.chat("Where do the hives stand?")
    holds("and the notes answer at once, with that as the reason",
          "is not asked for another" in answer["degraded"][0], answer)
    with ModelServer(CONTEXT_TOKENS, model.port):
        def by_model():
            answer = server.chat("Where do the hives stand?")
            return answer if answer["answered_by"] == "model" else None

        answer = until(by_model)
        holds("it is started again, and answers", answer is not None and answer["degraded"] == [], answer)
        holds("as /info says", server.model()["breaker"] == "closed", server.model())


if __name__ == "__main__":
    end_within(240)
    with ModelServer(CONTEXT_TOKENS) as model:
        with Oneloop("model", NOTES, *LOOKS_ONLY, "--disconnect-grace", "0", *by(model)) as server:
            streaming(server, model)
            answers(server, model)
            cancelled(server, model)
            too_long(model)
            crowd(model)
            restarted(model)
            killed(server, model)
