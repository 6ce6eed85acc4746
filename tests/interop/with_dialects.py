"""One run, many dialects: what is begun in one is watched, resumed and cancelled in the others by its run's id.

Called by `run`. Its server is killed in the middle.
"""

import json
import os
import tempfile
import threading

import httpx
from websockets.sync.client import connect

import claims
from claims import Reader, until
from scripted_model import PATIENCE, ScriptedModel
from servers import Oneloop, end_within, unused_port

holds = claims.by("dialects")

NOTES = os.environ["NOTES"]
REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
}


def mcp(server, method, about, **params):
    """A request of MCP, and its result."""
    head = {"MCP-Protocol-Version": REVISION, "Mcp-Method": method, "Mcp-Name": about, "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return server.client.post("/mcp", json=body, headers=head).json()["result"]


def mcp_status(server, run):
    return mcp(server, "tasks/get", run, taskId=run)["status"]


class Socket:
    """A WebSocket that reads runs."""

    def __init__(self, server):
        self.connection = connect(server.url.replace("http", "ws") + "/ws", proxy=None)
        self.socket = self.connection.__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *seen):
        self.connection.__exit__(*seen)

    def say(self, **message):
        self.socket.send(json.dumps(message))

    def until(self, kind, run=None):
        """The next message of this type, of this run if one is named."""
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message["type"] == kind and run in (None, message.get("run_id")):
                return message


class Stream(threading.Thread):
    """An event stream, read to its end in a thread of its own."""

    def __init__(self, server, run, after):
        super().__init__(daemon=True)
        self.reader, self.begun = Reader(), threading.Event()
        self.request = server.client.build_request("GET", f"/chat/task/{run}/stream", params={"after": after})
        self.client = server.client
        self.start()

    def run(self):
        answer = self.client.send(self.request, stream=True)
        for identity, event in claims.events_of(answer):
            self.reader.receive(identity, event)
            self.begun.set()


def completion(server, question):
    """A completion that streams: its answer and its run, once something was said in it."""
    request = server.client.build_request("POST", "/v1/chat/completions", json={
        "model": "oneloop", "stream": True, "messages": [{"role": "user", "content": question}]})
    answer = server.client.send(request, stream=True)
    lines = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {"))
    for chunk in lines:
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
            return answer, chunk["id"].removeprefix("chatcmpl-"), lines
    raise AssertionError("nothing was said")


def main():
    go_on = threading.Event()

    def script(request, reply):
        reply.tokens("Slowly, ")
        go_on.wait(PATIENCE)
        reply.answer("it ends.")

    state, port = tempfile.mkdtemp(prefix="oneloop-dialects-"), unused_port()
    with ScriptedModel(script) as model:
        arguments = ["--state-dir", state, "--model-url", model.url(), "--model", "scripted", "--agent", "rag",
                     "--disconnect-grace", "60"]
        with Oneloop("dialects", NOTES, *arguments, listen=f"127.0.0.1:{port}") as server:
            task = mcp(server, "tools/call", "ask", name="ask", arguments={"message": "How does a run end?"})
            run = task["taskId"]
            holds("MCP begins a run and is given its id", task["status"] == "working", task)
            with Socket(server) as socket:
                socket.say(type="resume", run_id=run)
                seen = socket.until("token", run)
                holds("a WebSocket watches it", seen["text"].startswith("Slowly"), seen)
            server.kill()

        with Oneloop("dialects-again", NOTES, *arguments, listen=f"127.0.0.1:{port}") as server, \
                Socket(server) as socket:
            stream = Stream(server, run, seen["seq"])
            holds("after a kill an event stream goes on with it", stream.begun.wait(30) and stream.reader.events, stream.reader.events)
            kept = stream.reader.events[0]
            holds("and is told first which of its events still stand", kept["type"] == "restart" and kept["keep"] <= seen["seq"], kept)
            socket.say(type="resume", run_id=run, after=seen["seq"])
            again = socket.until("token", run)
            holds("so does a WebSocket", again["seq"] > seen["seq"], again)
            holds("and to MCP it is at work", mcp_status(server, run) == "working")

            answer, other, chunks = completion(server, "What is a cursor?")
            socket.say(type="resume", run_id=other)
            holds("a completion of OpenAI's is watched by the same WebSocket", socket.until("token", other)["text"].startswith("Slowly"))
            holds("and known to MCP as a task", mcp_status(server, other) == "working")
            socket.say(message="What is a turn?", id="third")
            third = socket.until("accepted")["run_id"]
            holds("a chat of the WebSocket's is a task as well", server.get(f"/chat/task/{third}")["status"] in {"pending", "running"})

            cancelled = server.client.delete(f"/tasks/{run}")
            holds("DELETE cancels what MCP began", cancelled.json()["status"] == "cancelled", cancelled.text)
            stream.join(30)
            holds("its event stream ends with that", stream.reader.events[-1] == {"type": "done", "status": "cancelled"}, stream.reader.events)
            holds("so does its WebSocket", socket.until("done", run)["status"] == "cancelled")
            holds("and its task of MCP", mcp_status(server, run) == "cancelled")

            socket.say(type="cancel", run_id=other)
            holds("a WebSocket cancels what OpenAI's client began", socket.until("done", other)["status"] == "cancelled")
            told = list(chunks)
            holds("whose stream is told so", told and told[-1]["error"]["code"] == "run_cancelled", told)
            answer.close()
            mcp(server, "tasks/cancel", third, taskId=third)
            holds("MCP cancels what the WebSocket began", socket.until("done", third)["status"] == "cancelled")

            last = server.begin("What is a phase?")
            go_on.set()
            socket.say(type="resume", run_id=last)
            socket.until("done", last)
            result = mcp(server, "tasks/get", last, taskId=last)
            whole = server.ended(last)["result"]
            holds("one that ends has the same answer in each",
                  result["status"] == "completed" and result["result"]["structuredContent"] == whole, (result, whole))
            left = until(lambda: server.get("/info")["runs"]["running"] == 0)
            holds("and nothing is left at work", left, server.get("/info")["runs"])


end_within(300)
main()
