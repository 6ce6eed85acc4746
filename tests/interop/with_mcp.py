"""The notes as tools, as the official Python SDK of MCP has them, in both eras of the protocol.

Called by `run`. What that client never sends stands at the end, sent by httpx.
"""

import json
import os
import pathlib
import shutil
import tempfile
import threading

import anyio
import httpx
from mcp import Client, MCPError
from mcp.client.extension import ClientExtension, ResultClaim
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict, Field
from typing import Literal

import claims
from claims import until
from scripted_model import PATIENCE, ScriptedModel
from servers import Oneloop, end_within

holds = claims.by("mcp")

GARDEN = pathlib.Path(__file__).parent / "garden"
QUESTION = "How often is the compost heap turned?"
STATELESS = "2026-07-28"
ERAS = {"auto": STATELESS, STATELESS: STATELESS, "legacy": "2025-11-25"}
READING = ["ask", "search_notes", "read_note", "list_links"]
WRITING = ["create_note", "append_note", "link_notes"]


def garden():
    """A copy of the garden's notes, to be written to."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-mcp-"))
    shutil.copytree(GARDEN, folder, dirs_exist_ok=True)
    return folder


def told(result):
    """What a tool gives, which stands in its result twice."""
    value = result.structured_content
    assert not result.is_error and json.loads(result.content[0].text) == value, result
    return value


async def refused(call):
    """The code of the error that a call ends with."""
    try:
        return await call
    except MCPError as error:
        return error.code


async def aside(function, *arguments):
    """What a function answers that waits by itself."""
    return await anyio.to_thread.run_sync(function, *arguments)


async def reads(server, mode):
    async with Client(f"{server.url}/mcp", mode=mode) as client:
        holds(f"{mode}: the revision is the newest of its era", client.protocol_version == ERAS[mode],
              client.protocol_version)
        if mode != STATELESS:
            holds(f"{mode}: the server says who it is and what it is for",
                  client.server_info.name == "oneloop" and "Markdown" in client.instructions, client.server_info)
        listed = (await client.list_tools()).tools
        holds(f"{mode}: tools are listed, those that write left out", [tool.name for tool in listed] == READING, listed)
        holds(f"{mode}: all of them only read, and have schemas",
              all(tool.annotations.read_only_hint and not tool.annotations.open_world_hint and tool.title
                  and tool.input_schema["type"] == tool.output_schema["type"] == "object" for tool in listed), listed)

        found = told(await client.call_tool("search_notes", {"query": "compost heap", "limit": 3}))
        hit = found["results"][0]
        holds(f"{mode}: a search finds passages", hit["path"] == "compost.md" and len(found["results"]) <= 3, found)
        window = told(await client.call_tool("read_note", {"path": hit["path"], "start": hit["start"],
                                                           "length": hit["end"] - hit["start"]}))
        holds(f"{mode}: a passage stands in its note where the search says", window["text"] == hit["text"], window)
        whole, start = "", 0
        while start is not None:
            part = told(await client.call_tool("read_note", {"path": "compost", "start": start, "length": 100}))
            whole, start = whole + part["text"], part["next"]
        holds(f"{mode}: windows one behind the other are the note", whole == (GARDEN / "compost.md").read_text(), whole)
        links = told(await client.call_tool("list_links", {"path": "compost.md"}))
        holds(f"{mode}: links are listed in both directions",
              links["title"] == "Compost" and not links["truncated"] and links["complete"], links)

        answer = told(await client.call_tool("ask", {"message": QUESTION}))
        holds(f"{mode}: a question is answered with its sources",
              "third week" in answer["response"] and answer["sources"][0]["path"] == "compost.md", answer)
        task = server.get(f"/chat/task/{answer['run_id']}")
        holds(f"{mode}: and its run can be read by others", task["status"] == "completed" and
              task["result"]["response"] == answer["response"], task)

        for name, arguments, words in [
            ("search_notes", {}, "query"),
            ("search_notes", {"query": "x", "limit": 99}, "from 1 to 12"),
            ("read_note", {"path": "no such"}, "no note"),
            ("list_links", {"path": "../etc/passwd"}, "no note"),
            ("ask", {"message": "  "}, "message"),
            ("ask", {"message": "x", "callback_url": "http://127.0.0.1"}, "callback_url"),
        ]:
            result = await client.call_tool(name, arguments)
            holds(f"{mode}: {name} says what is wrong with {arguments}",
                  result.is_error and words in result.content[0].text, result)
        code = await refused(client.call_tool("create_note", {"title": "x", "content": "y"}))
        holds(f"{mode}: a tool that writes is no tool where nothing may be written", code == -32602, code)
        code = await refused(client.list_resources())
        holds(f"{mode}: a method that there is not is refused", code == -32601, code)


class Slow:
    """A model that says a word now and then until it is let go, and an answer then."""

    def __init__(self):
        self.go = threading.Event()

    def __call__(self, request, reply):
        for number in range(int(PATIENCE * 20)):
            reply.tokens(f"word{number} ")
            if self.go.wait(0.05):
                break
        reply.answer("At the root.")


async def newest(server, status):
    """The newest task, once it is in this state."""
    def look():
        rows = server.get("/tasks?limit=1")["tasks"]
        return rows and rows[0]["status"] == status and rows[0]["task_id"]

    return await aside(until, look, 10)


async def takes_long(server, script, mode):
    script.go.clear()
    progress = []

    async def on_progress(now, total, message):
        progress.append((now, message))

    async with Client(f"{server.url}/mcp", mode=mode) as client:
        async def ask():
            result = await client.call_tool("ask", {"message": f"How are tomatoes watered, {mode}?"}, progress_callback=on_progress)
            answers.append(told(result))

        answers = []
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            with anyio.fail_after(PATIENCE):
                while len(progress) < 5:
                    await anyio.sleep(0.01)
            run = await newest(server, "running")
            script.go.set()
        numbers = [number for number, _ in progress]
        holds(f"{mode}: an answer that takes long tells its progress", len(numbers) >= 5, progress)
        holds(f"{mode}: which grows", all(a < b for a, b in zip(numbers, numbers[1:])), numbers)
        holds(f"{mode}: in words", all(message for _, message in progress) and
              any("Searching" in message for _, message in progress), progress)
        holds(f"{mode}: and then it is there", answers[0]["response"].endswith("At the root.") and
              answers[0]["run_id"] == run, answers)

        for streams in (True, False):
            script.go.clear()
            progress.clear()
            how = "a stream" if streams else "an answer"
            with anyio.move_on_after(PATIENCE) as scope:
                async def ask_and_leave():
                    await client.call_tool("ask", {"message": f"How are tomatoes watered, {mode}, {how}?"},
                                           progress_callback=on_progress if streams else None)

                async with anyio.create_task_group() as group:
                    group.start_soon(ask_and_leave)
                    run = await newest(server, "running")
                    scope.cancel()
            if ERAS[mode] == STATELESS:
                holds(f"{mode}: to leave {how} cancels the run at once", await newest(server, "cancelled") == run, run)
            else:
                await anyio.sleep(0.3)
                state = server.get(f"/chat/task/{run}")
                holds(f"{mode}: to leave {how} does not cancel the run", state["status"] == "running", state)
                script.go.set()
                ended = await aside(server.ended, run)
                holds(f"{mode}: which goes on to its end", ended["status"] == "completed", ended)


# --- Tasks --------------------------------------------------------------------------------------------------------


class Task(Result):
    """A task, as the extension has it."""

    model_config = ConfigDict(extra="allow")

    result_type: Literal["task"] = Field("task", alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str
    created_at: str = Field(alias="createdAt")
    last_updated_at: str = Field(alias="lastUpdatedAt")
    ttl_ms: int | None = Field(alias="ttlMs")
    poll_interval_ms: int = Field(alias="pollIntervalMs")


class Known(Result):
    """What is known of a task by now; or nothing, where something was to be done about it."""

    model_config = ConfigDict(extra="allow")

    task_id: str | None = Field(None, alias="taskId")
    status: str | None = None
    result: dict | None = None


class TaskParams(RequestParams):
    task_id: str = Field(alias="taskId")


class TaskRequest(Request[TaskParams, str]):
    name_param = "taskId"
    method: str
    params: TaskParams


async def about(session, method, task):
    """What a method says of a task."""
    request = TaskRequest(method=method, params=TaskParams(taskId=task))
    return await session.send_request(request, Known)


class Tasks(ClientExtension):
    """Polls for the tasks that it is given the handles of."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.seen = []

    async def resolve(self, task, context):
        self.seen.append(task)
        while True:
            known = await about(context.session, "tasks/get", task.task_id)
            self.seen.append(known)
            if known.status != "working":
                return CallToolResult.model_validate(known.result or {"content": [], "isError": True})
            await anyio.sleep(0.05)

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.resolve)]


async def as_tasks(server, script):
    script.go.set()
    tasks = Tasks()
    async with Client(f"{server.url}/mcp", mode="auto", extensions=[tasks]) as client:
        declared = client.server_capabilities.extensions
        holds("tasks: the extension is declared", declared == {"io.modelcontextprotocol/tasks": {}}, declared)
        answer = told(await client.call_tool("ask", {"message": "How are peas watered?"}))
        handle, *_, last = tasks.seen
        holds("tasks: a question is answered with the handle of a task, and then with what it has given",
              handle.status == "working" and last.status == "completed" and "At the root." in answer["response"],
              tasks.seen)
        holds("tasks: the task is the run", handle.task_id == answer["run_id"], (handle, answer))
        task = server.get(f"/chat/task/{handle.task_id}")
        holds("tasks: which can be read as every other", task["result"]["response"] == answer["response"], task)
        found = told(await client.call_tool("search_notes", {"query": "compost"}))
        holds("tasks: what is quick is answered at once", found["results"] and len(tasks.seen) >= 2, found)

        script.go.clear()
        handle = await client.session.call_tool("ask", {"message": "How are beans watered?"}, allow_claimed=True)
        known = await about(client.session, "tasks/get", handle.task_id)
        holds("tasks: while it is at work, that is told", known.status == "working" and known.result is None, known)
        with server.client.stream("GET", f"/chat/task/{handle.task_id}/stream") as response:
            (_, first), *_ = [event for _, event in zip(range(2), claims.events_of(response))]
        holds("tasks: others can watch it meanwhile", first["type"] == "state" and first["run_id"] == handle.task_id, first)
        done = await about(client.session, "tasks/cancel", handle.task_id)
        known = await about(client.session, "tasks/get", handle.task_id)
        holds("tasks: it is cancelled when that is asked", done.status is None and known.status == "cancelled",
              (done, known))
        task = server.get(f"/chat/task/{handle.task_id}")
        holds("tasks: and everybody sees so", task["status"] == "cancelled", task)

        handle = await client.session.call_tool("ask", {"message": "How are leeks watered?"}, allow_claimed=True)
        server.client.delete(f"/tasks/{handle.task_id}")
        known = await about(client.session, "tasks/get", handle.task_id)
        holds("tasks: DELETE /tasks cancels it as well", known.status == "cancelled", known)
        code = await refused(about(client.session, "tasks/get", "0198c0de-0000-7000-8000-000000000001"))
        holds("tasks: a task that there is not is refused", code == -32602, code)
        handle = await client.session.call_tool("ask", {"message": "How are onions watered?"}, allow_claimed=True)
    script.go.set()
    ended = await aside(server.ended, handle.task_id)
    holds("tasks: one whose client has gone goes on", ended["status"] == "completed", ended)
    async with Client(f"{server.url}/mcp", mode=STATELESS) as client:
        code = await refused(about(client.session, "tasks/get", handle.task_id))
        holds("tasks: whoever has not declared them is told to", code == -32021, code)


# --- Writing ------------------------------------------------------------------------------------------------------


async def writes(mode):
    folder = garden()
    with Oneloop(f"mcp-inbox-{mode}", folder, "--writes", "inbox") as server:
        async with Client(f"{server.url}/mcp", mode=mode) as client:
            listed = (await client.list_tools()).tools
            holds(f"{mode}: where an inbox may be written to, one tool writes",
                  [tool.name for tool in listed] == READING + WRITING[:1], listed)
            made = told(await client.call_tool("create_note", {"title": "Peas", "content": "They climb."}))
            holds(f"{mode}: a note is made in it", made["path"] == "Inbox/Peas.md" and made["action"] == "created"
                  and "They climb." in (folder / made["path"]).read_text(), made)
            again = told(await client.call_tool("create_note", {"title": "Peas", "content": "They climb."}))
            holds(f"{mode}: a second of its name is another", again["path"] == "Inbox/Peas 2.md", again)
            found = told(await client.call_tool("search_notes", {"query": "peas climb"}))
            holds(f"{mode}: and it is found", found["results"][0]["path"].startswith("Inbox/Peas"), found)
    folder = garden()
    with Oneloop(f"mcp-all-{mode}", folder, "--writes", "all") as server:
        async with Client(f"{server.url}/mcp", mode=mode) as client:
            listed = (await client.list_tools()).tools
            holds(f"{mode}: where all may be written, three do", [tool.name for tool in listed] == READING + WRITING, listed)
            hints = {tool.name: tool.annotations for tool in listed}
            holds(f"{mode}: they say so, and that they take nothing away",
                  all(not hints[name].read_only_hint and not hints[name].destructive_hint for name in WRITING), hints)
            made = told(await client.call_tool("create_note", {"title": "Peas", "content": "They climb.",
                                                               "folder": "beds/north", "tags": ["green"]}))
            holds(f"{mode}: a note is made in a folder", made["path"] == "beds/north/Peas.md", made)
            before = (folder / "compost.md").read_text()
            added = told(await client.call_tool("append_note", {"path": "compost", "content": "Turned today."}))
            after = (folder / "compost.md").read_text()
            at = added["added"]
            holds(f"{mode}: something is added to a note, and told where",
                  added["action"] == "appended" and "Turned today." in after and
                  (after.encode()[:at["start"]] + after.encode()[at["end"]:]).decode() == before, added)
            linked = told(await client.call_tool("link_notes", {"from": "beds/north/Peas.md", "to": "compost.md"}))
            holds(f"{mode}: a note is linked to another", linked["action"] == "linked", linked)
            links = told(await client.call_tool("list_links", {"path": "compost.md"}))
            holds(f"{mode}: which knows of it", "beds/north/Peas.md" in [it["path"] for it in links["linked_from"]], links)
            for name, arguments, words in [
                ("link_notes", {"from": "beds/north/Peas.md", "to": "compost.md"}, "already"),
                ("append_note", {"path": "no such", "content": "x"}, "no note"),
                ("create_note", {"title": "x", "content": "y", "folder": "../out"}, "can't be a folder"),
            ]:
                result = await client.call_tool(name, arguments)
                holds(f"{mode}: {name} says why nothing was written", result.is_error and
                      "Nothing was written" in result.content[0].text and words in result.content[0].text, result)
            paths = []
            async with anyio.create_task_group() as group:
                async def make(number):
                    made = await client.call_tool("create_note", {"title": "Crowd", "content": str(number)})
                    paths.append(told(made)["path"])

                for number in range(8):
                    group.start_soon(make, number)
            texts = [(folder / path).read_text() for path in paths]
            holds(f"{mode}: eight at once make eight notes", len(set(paths)) == 8 and
                  sorted(text.strip()[-1] for text in texts) == list("01234567"), paths)


# --- What that client does not send -------------------------------------------------------------------------------


def by_hand(server):
    url = f"{server.url}/mcp"
    meta = {"io.modelcontextprotocol/protocolVersion": STATELESS, "io.modelcontextprotocol/clientCapabilities": {}}

    def post(body, **fields):
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        fields = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} | fields
        return server.client.post(url, content=body if isinstance(body, str) else json.dumps(body), headers=fields)

    def request(method, params=None, **fields):
        return post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}, **fields)

    def error(answer):
        return answer.status_code, answer.json()["error"]["code"], answer.json().get("id")

    stateless = {"MCP_Protocol_Version": STATELESS}
    for claim, answer, expected in [
        ("a method that the head says otherwise", request("tools/list", {"_meta": meta}, Mcp_Method="ping", **stateless),
         (400, -32020, 7)),
        ("a head without the method", request("tools/list", {"_meta": meta}, **stateless), (400, -32020, 7)),
        ("a body without its revision", request("tools/list", {}, Mcp_Method="tools/list", **stateless), (400, -32602, 7)),
        ("a revision of the future", request("tools/list", {}, MCP_Protocol_Version="2099-01-01"), (400, -32022, 7)),
        ("ping in the stateless era", request("ping", {"_meta": meta}, Mcp_Method="ping", **stateless), (404, -32601, 7)),
        ("a batch", post([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]), (400, -32600, None)),
        ("what is no JSON", post("{"), (400, -32700, None)),
        ("a foreign page", request("ping", Origin="http://evil.example"), (403, -32600, None)),
        ("a foreign name", request("ping", Host="evil.example"), (421, -32600, None)),
        ("a body that is no JSON by its type", post("{}", Content_Type="text/plain"), (415, -32600, None)),
    ]:
        holds(f"by hand: {claim} is refused with {expected[1]} and {expected[0]}", error(answer) == expected, answer.text)
    for method in ("GET", "DELETE"):
        answer = server.client.request(method, url)
        holds(f"by hand: {method} is not allowed", answer.status_code == 405 and "POST" in answer.headers["allow"], answer)
    for revision in ("2025-03-26", "2025-06-18", "2025-11-25"):
        answer = request("initialize", {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})
        result = answer.json()["result"]
        holds(f"by hand: {revision} is agreed on, without a session",
              result["protocolVersion"] == revision and "mcp-session-id" not in answer.headers, answer.text)
        note = post({"jsonrpc": "2.0", "method": "notifications/initialized"}, MCP_Protocol_Version=revision)
        holds(f"by hand: a notification of {revision} is noted", (note.status_code, note.content) == (202, b""), note)
        answer = request("ping", MCP_Protocol_Version=revision)
        holds(f"by hand: {revision} has its ping answered", answer.json()["result"] == {}, answer.text)
    call = {"name": "ask", "arguments": {"message": QUESTION}, "_meta": {"progressToken": "p"}}
    answer = request("tools/call", call)
    *progress, last = [event for _, event in claims.events_in(answer.text.splitlines())]
    holds("by hand: progress names its token and the run",
          all(it["method"] == "notifications/progress" and it["params"]["progressToken"] == "p" for it in progress) and
          {it["params"]["_meta"]["oneloop/run_id"] for it in progress} ==
          {last["result"]["structuredContent"]["run_id"]}, answer.text)
    answer = request("tools/call", call, Accept="application/json")
    holds("by hand: who reads no streams is sent none",
          answer.headers["content-type"] == "application/json" and answer.json()["result"]["structuredContent"], answer)


async def main():
    with Oneloop("mcp", GARDEN, "--writes", "off") as server:
        for mode in ERAS:
            await reads(server, mode)
        by_hand(server)
    script = Slow()
    with ScriptedModel(script) as model, \
            Oneloop("mcp-slow", GARDEN, "--writes", "off", "--model-url", model.url(), "--model", "scripted",
                    "--disconnect-grace", "60") as server:
        for mode in ERAS:
            await takes_long(server, script, mode)
        await as_tasks(server, script)
    for mode in ("auto", "legacy"):
        await writes(mode)


if __name__ == "__main__":
    end_within(300)
    try:
        anyio.run(main)
    except* SystemExit:
        # A claim has failed, and said so, within a group of tasks.
        os._exit(1)
