"""What `websockets` makes of `GET /ws`, and what a bare socket is told that breaks RFC 6455.

Called by `run`. The servers are started here.
"""

import base64
import json
import os
import pathlib
import resource
import socket
import struct
import tempfile
import threading

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import claims
from claims import until
from scripted_model import PATIENCE, ScriptedModel
from servers import Oneloop, end_within

holds = claims.by("websockets")

NOTES = os.environ["NOTES"]
QUESTION = "In which order does a turn run its phases?"

# What idle sockets may cost, each, in bytes of the server's memory.
IDLE_BYTES_MAX = 4096


def address(server):
    return server.url.replace("http://", "ws://") + "/ws"


class Talk:
    """A WebSocket, with what was heard over it kept by run."""

    def __init__(self, server, **options):
        self.connection = connect(address(server), max_size=None, proxy=None, **options)
        self.socket = self.connection.__enter__()
        self.runs, self.apart = {}, []

    def __enter__(self):
        return self

    def __exit__(self, *seen):
        self.connection.__exit__(*seen)

    def say(self, **message):
        self.socket.send(json.dumps(message))

    def hear(self):
        """The next message. Events of runs are kept with them, all else apart."""
        message = json.loads(self.socket.recv(timeout=60))
        if message["type"] in {"accepted", "state", "refused", "pong"}:
            self.apart.append(message)
        else:
            self.runs.setdefault(message["run_id"], []).append(message)
        return message

    def until(self, *kinds):
        """The next message of one of these types."""
        while (message := self.hear())["type"] not in kinds:
            pass
        return message

    def closed(self):
        """The code that it is closed with, whatever comes before."""
        try:
            while True:
                self.hear()
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.code


def in_order(events):
    numbers = [event["seq"] for event in events]
    return numbers == sorted(set(numbers))


def chats():
    with Oneloop("sockets", NOTES, "--disconnect-grace", "1", "--cors-origin", "https://notes.example") as server:
        whole = server.chat(QUESTION)
        with Talk(server) as talk:
            talk.say(message=QUESTION)
            accepted = talk.hear()
            run = accepted.get("run_id")
            holds("a bare message is a chat, and is told its run first", accepted["type"] == "accepted" and run, accepted)
            talk.until("done")
            events = list(talk.runs[run])
            kinds = [event["type"] for event in events]
            holds("its events have run_id, seq and type, in order",
                  all(event["run_id"] == run for event in events) and in_order(events) and kinds[-1] == "done", events[:3])
            answer = next(event for event in events if event["type"] == "complete")["response"]
            holds("the answer is the one of POST /chat", answer["response"] == whole["response"], answer)
            text = "".join(event["text"] for event in events if event["type"] == "token")
            holds("and is told in tokens before", text == answer["response"], text)

            middle = events[len(events) // 2]["seq"]
            talk.say(type="resume", run_id=run, after=middle, id="again")
            state = talk.hear()
            holds("who resumes is told where the run is",
                  (state["type"], state["id"], state["status"]) == ("state", "again", "completed"), state)
            before = len(talk.runs[run])
            talk.until("done")
            rest = talk.runs[run][before:]
            holds("and has the events behind that one again", rest == [event for event in events if event["seq"] > middle], rest)
            talk.say(type="ping", id=7)
            holds("a ping has a pong with its id", talk.hear() == {"type": "pong", "id": 7}, talk.apart[-1])
            waited = talk.socket.ping()
            holds("a ping frame has a pong frame", waited.wait(10))

            for number in range(10):
                talk.say(type="chat", message=QUESTION, id=number)
            for _ in range(10):
                talk.until("done")
            named = {message["id"]: message["run_id"] for message in talk.apart if message["type"] == "accepted" and "id" in message}
            answers = [event["response"]["response"] for run in named.values() for event in talk.runs[run] if event["type"] == "complete"]
            holds("ten runs over one socket have ten answers, each under its name",
                  sorted(named) == list(range(10)) and answers == [whole["response"]] * 10, (named, len(answers)))
            holds("each of them in order", all(in_order(talk.runs[run]) for run in named.values()))

            nobody = "0198c0de-0000-7000-8000-000000000001"
            for sent, status, place in [
                ("{", 422, ["body", 1]), ("[]", 422, ["body"]), ('{"type":"shout"}', 422, ["body", "type"]),
                ('{"type":"chat"}', 422, ["body", "message"]), ('{"message":7}', 422, ["body", "message"]),
                ('{"type":"resume"}', 422, ["body", "run_id"]), ('{"type":"cancel","run_id":"x"}', 422, ["body", "run_id"]),
                (f'{{"type":"resume","run_id":"{nobody}","after":-1}}', 422, ["body", "after"]),
                (f'{{"type":"resume","run_id":"{nobody}"}}', 404, None), (f'{{"type":"cancel","run_id":"{nobody}"}}', 404, None),
                (json.dumps({"type": "ping", "id": "x" * 200}), 422, ["body", "id"]),
            ]:
                talk.socket.send(sent)
                refused = talk.hear()
                at = None if place is None else refused["detail"][0]["loc"]
                holds(f"{sent[:40]} is refused with {status} and the socket goes on",
                      (refused["type"], refused["status"], at) == ("refused", status, place), refused)
            talk.socket.send([QUESTION.join(['{"message":"', ""])[:20], QUESTION.join(['{"message":"', ""])[20:], '"}'])
            holds("a message in fragments is one message", talk.until("done")["status"] == "completed")

        with Talk(server, compression="deflate") as talk:
            holds("an extension that is offered is not taken", talk.socket.protocol.extensions == [], talk.socket.protocol.extensions)
        with Talk(server, origin="https://notes.example") as talk:
            talk.say(type="ping")
            holds("pages of a welcome origin may open one", talk.hear() == {"type": "pong"})
        try:
            Talk(server, origin="http://evil.example")
            seen = "opened"
        except InvalidStatus as refused:
            seen = refused.response.status_code
        holds("a page of another origin is refused with 403, although it is a GET", seen == 403, seen)
        renamed = httpx.get(server.url + "/ws", headers={"Host": "evil.example"}, trust_env=False)
        holds("another host is refused with 421", renamed.status_code == 421, renamed)
        plain = httpx.get(server.url + "/ws", trust_env=False)
        holds("a plain GET is told 426 and what to upgrade to",
              (plain.status_code, plain.headers["upgrade"], plain.headers["sec-websocket-version"]) == (426, "websocket", "13"),
              plain.headers)

        with Talk(server) as talk:
            for _ in range(33):
                talk.socket.send("{")
            code = talk.closed()
        holds("who is refused over and over is closed with 1008", (code, len(talk.apart)) == (1008, 33), (code, talk.apart[-1]))
        for says, code in [("binary", 1003), ("too long", 1009)]:
            with Talk(server) as talk:
                talk.socket.send(b"\0" if says == "binary" else "x" * 300_000)
                seen = talk.closed()
            holds(f"{says} is closed with {code}", seen == code, seen)


def cancels():
    """Runs that are watched, left and cancelled while a model waits to be let go."""
    go_on = threading.Event()

    def script(request, reply):
        reply.tokens("Slowly ")
        go_on.wait(PATIENCE)
        reply.answer("it ends.")

    with ScriptedModel(script) as model, \
            Oneloop("sockets-model", NOTES, "--model-url", model.url(), "--model", "scripted", "--agent", "rag",
                    "--disconnect-grace", "60") as server:
        with Talk(server) as talk:
            talk.say(message="one?")
            run = talk.until("token")["run_id"]
            talk.say(type="cancel", run_id=run)
            done = talk.until("done")
            holds("a run is cancelled over the socket that reads it", (done["run_id"], done["status"]) == (run, "cancelled"), done)
            talk.say(type="cancel", run_id=run, id="late")
            state = talk.until("state")
            holds("one that has ended is told as it is", (state["id"], state["status"]) == ("late", "cancelled"), state)

            other = server.begin("two?")
            talk.say(type="cancel", run_id=other)
            state = talk.until("state", "refused")
            holds("a run of others is cancelled, and its state is told once that is kept",
                  (state["run_id"], state.get("status")) == (other, "cancelled"), state)

        first = Talk(server)
        first.say(message="three?")
        token = first.until("token")
        run = token["run_id"]
        first.socket.socket.close()
        with Talk(server) as second:
            second.say(type="resume", run_id=run, after=token["seq"])
            state = second.until("state")
            go_on.set()
            second.until("done")
            events = first.runs[run] + second.runs[run]
            kinds = [event["type"] for event in events]
            holds("a run is left by one socket and resumed by another, without gap or repetition",
                  state["status"] == "running" and in_order(events) and kinds.count("complete") == 1, kinds)
        stream = list(claims.events_of(httpx.get(f"{server.url}/chat/task/{run}/stream", timeout=60, trust_env=False)))
        same = [{"run_id": run, "seq": int(number.rpartition("-")[2]), **event} for number, event in stream if number]
        holds("its event stream tells the same events under the same numbers", same == events, (same, events))


def ends():
    state = tempfile.mkdtemp(prefix="oneloop-sockets-")
    with Oneloop("sockets-ends", NOTES, "--state-dir", state) as server:
        with Talk(server) as talk:
            server.process.terminate()
            code = talk.closed()
        holds("a server that ends says 1001", code == 1001, code)
        holds("and ends well", server.process.wait(30) == 0)


# --- Bare sockets -------------------------------------------------------------------------------------------------

HANDSHAKE = ("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n").encode()


def frame(first, payload, mask=b"\1\2\3\4"):
    """A frame as a client sends it; without a mask, as none may."""
    length = len(payload)
    assert length < 126
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([first, length | (0x80 if mask else 0)]) + (mask or b"") + masked


def bare(server, *pieces):
    """Sends these, and answers what comes until the end: the frames behind the handshake."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), timeout=30) as line:
        for piece in pieces:
            line.sendall(piece)
        received = b""
        while b"\r\n\r\n" not in received:
            received += line.recv(65536)
        head, _, rest = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        while piece := line.recv(65536):
            rest += piece
    frames = []
    while rest:
        first, length = rest[0], rest[1]
        at = 2
        if length == 126:
            (length,), at = struct.unpack("!H", rest[2:4]), 4
        elif length == 127:
            (length,), at = struct.unpack("!Q", rest[2:10]), 10
        frames.append((first, rest[at:at + length]))
        rest = rest[at + length:]
    return frames


def breaks():
    with Oneloop("sockets-bare", NOTES) as server:
        close = frame(0x88, struct.pack("!H", 1000))
        seen = bare(server, HANDSHAKE + frame(0x81, b'{"type":"ping"}') + close)
        holds("what comes with the handshake is not lost", seen == [(0x81, b'{"type":"pong"}'), (0x88, b"\x03\xe8")], seen)
        for name, sent, code in [
            ("a frame without a mask", frame(0x81, b"{}", None), 1002), ("a reserved bit", frame(0xC1, b"{}"), 1002),
            ("a reserved opcode", frame(0x83, b""), 1002), ("a continuation of nothing", frame(0x80, b""), 1002),
            ("a ping in fragments", frame(0x09, b""), 1002), ("text that is not UTF-8", frame(0x81, b"\xff"), 1007),
            ("half a character at the end", frame(0x01, b"\xc3") + frame(0x80, b""), 1007),
            ("a close of one byte", frame(0x88, b"\x03"), 1002), ("a close with 1005", frame(0x88, struct.pack("!H", 1005)), 1002),
            ("the header alone of a frame that is too long", b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"\1\2\3\4", 1009),
        ]:
            seen = bare(server, HANDSHAKE, sent)
            told = struct.unpack("!H", seen[-1][1][:2])[0] if seen and seen[-1][0] == 0x88 else None
            holds(f"{name} is closed with {code}", told == code, seen)


def idle():
    """As many WebSockets as a server takes, less a few, that say nothing, and what the server's memory grows by."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(9_990, (hard if hard != resource.RLIM_INFINITY else 1 << 20) - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
    with Oneloop("sockets-idle", NOTES) as server:
        status = pathlib.Path(f"/proc/{server.process.pid}/status")

        def memory():
            (line,) = (line for line in status.read_text().splitlines() if line.startswith("RssAnon:"))
            return int(line.split()[1]) * 1024

        before = memory()
        url = httpx.URL(server.url)
        lines = []
        for _ in range(wanted):
            line = socket.create_connection((url.host, url.port), timeout=30)
            line.sendall(HANDSHAKE)
            lines.append(line)
        opened = sum(line.recv(4096).startswith(b"HTTP/1.1 101 ") for line in lines)
        # Buffers that were lent meanwhile are back once a turn has nothing to do; this asks for one.
        open_now = server.get("/info")["connections"]["open"]
        each = (memory() - before) / wanted
        holds(f"{wanted} idle sockets are open", opened == wanted and open_now >= wanted, (opened, open_now))
        print(f"   an idle WebSocket costs {each:.0f} bytes", flush=True)
        holds(f"each costs under {IDLE_BYTES_MAX} bytes", each < IDLE_BYTES_MAX, each)
        lines[0].sendall(frame(0x81, b'{"type":"ping"}'))
        holds("and is answered", lines[0].recv(4096).endswith(b'{"type":"pong"}'))
        for line in lines:
            line.close()
        holds("all of them go", until(lambda: server.get("/info")["connections"]["open"] == 1), server.get("/info")["connections"])


end_within(600)
chats()
cancels()
ends()
breaks()
idle()
