"""What httpx makes of the server. Called by `run`, which has set the addresses."""

import json
import os
import pathlib
import socket
import struct
import time
import uuid

import httpx

import claims
from claims import events_of, until

URL = os.environ["ONELOOP_URL"]
FORGETFUL_URL = os.environ["ONELOOP_FORGETFUL_URL"]
QUEUEING_URL = os.environ["ONELOOP_QUEUEING_URL"]
NOTES = pathlib.Path(os.environ["NOTES"])
QUESTION = {"message": "In which order does a turn run its phases?"}
FINAL = {"completed", "failed", "cancelled"}

holds = claims.by("httpx")


def joined(response):
    """The events of a run's own stream. What comes first has no number: it says where the run is."""
    (identity, state), *events = events_of(response)
    if identity is not None or state["type"] != "state":
        holds("a stream that is joined begins with where the run is", False, (identity, state))
    return events


def hang_up(client_socket):
    """Ends a connection with a reset instead of a FIN."""
    client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client_socket.close()


def connections_and_answers():
    with httpx.Client(base_url=URL, timeout=30) as client:
        accepted = client.get("/info").json()["connections"]["accepted"]
        for path in ["/health", "/info", "/nowhere", "/tasks"] * 5:
            client.get(path)
        client.post("/chat", json=QUESTION)
        again = client.get("/info").json()["connections"]["accepted"]
        holds("one connection serves GET, POST and refusals", again == accepted, (accepted, again))

        answer = client.post("/chat", json=QUESTION)
        body = answer.json()
        holds("/chat answers 200 with JSON", answer.status_code == 200, answer)
        expected = {
            "response", "sources", "categories", "knowledge_updates", "suggested_actions", "answered_by", "run_id",
        }
        holds("the answer has every field", expected <= body.keys(), body)
        holds("the run's id is a UUIDv7", uuid.UUID(body["run_id"]).version == 7, body)
        task = client.get(f"/chat/task/{body['run_id']}").json()
        holds("the run of /chat is a task with the same result", task["result"] == body, task)

        follow_up = client.post("/chat", json={
            "message": "and after that?",
            "conversation_history": [
                {"role": "user", "content": QUESTION["message"]},
                {"role": "assistant", "content": body["response"]},
            ],
        })
        holds("a follow-up with its history is answered", follow_up.status_code == 200, follow_up.text)

        with client.stream("POST", "/chat/stream", json=QUESTION) as response:
            stream_type = response.headers["content-type"]
            events = list(events_of(response))
        holds("/chat/stream is an event stream", stream_type == "text/event-stream", stream_type)
        runs = {identity.rpartition("-")[0] for identity, _ in events}
        numbers = [int(identity.rpartition("-")[2]) for identity, _ in events]
        holds("its events are numbered from 1, without a gap", numbers == list(range(1, len(events) + 1)), numbers)
        holds("and belong to one run", len(runs) == 1, runs)
        kinds = [data["type"] for _, data in events]
        holds("it ends with complete and done", kinds[-2:] == ["complete", "done"], kinds)
        tokens = "".join(data["text"] for _, data in events if data["type"] == "token")
        complete = events[-2][1]["response"]
        holds("its tokens together are the answer", tokens == complete["response"], (tokens, complete))
        holds("the connection is kept after a stream", client.get("/health").status_code == 200)


def tasks():
    with httpx.Client(base_url=URL, timeout=30) as client:
        accepted = client.post("/chat/async", json=QUESTION)
        task_id = accepted.json()["task_id"]
        holds("/chat/async is accepted", accepted.status_code == 202, accepted.text)
        holds("and told where it is", accepted.json()["status"] in {"pending", "running", "completed"}, accepted.text)
        holds("Location is its task", accepted.headers["location"] == f"/chat/task/{task_id}", accepted.headers)

        def ended():
            task = client.get(accepted.headers["location"]).json()
            return task if task["status"] in FINAL else None

        task = until(ended)
        holds("asking for it again and again ends with its result", task and task["status"] == "completed", task)
        holds("which names the run", task["result"]["run_id"] == task_id, task)
        holds("and when it began and ended", task["created_at"] <= task["completed_at"], task)
        listed = client.get("/tasks", params={"limit": 1}).json()["tasks"]
        holds("the list of tasks has the newest first", listed[0]["task_id"] == task_id, listed)
        holds("and tells what was asked", (listed[0]["message"], listed[0]["session_id"]) == (QUESTION["message"], None), listed)

        stream = f"/chat/task/{task_id}/stream"
        with client.stream("GET", stream) as response:
            all_events = joined(response)
        holds("a stream that is joined begins with where the run is", True)
        holds("a task's stream has all of its events", all_events[-1][1]["type"] == "done", all_events)
        for after in range(len(all_events)):
            last = all_events[after - 1][0] if after else None
            headers = {"Last-Event-ID": last} if last else {}
            with client.stream("GET", stream, headers=headers) as response:
                by_header = joined(response)
            with client.stream("GET", stream, params={"after": after}) as response:
                by_query = joined(response)
            if not by_header == by_query == all_events[after:]:
                holds(f"resuming behind event {after}", False, (by_header, by_query))
        holds("Last-Event-ID and ?after= go on behind every event", True)
        delivered = client.get(stream, headers={"Last-Event-ID": all_events[-1][0]})
        holds("a stream that was delivered is 204", delivered.status_code == 204, delivered)
        foreign = client.get(stream, headers={"Last-Event-ID": f"{uuid.uuid4()}-1"})
        holds("another run's Last-Event-ID is refused", foreign.status_code == 400, foreign.text)

        cancelled = client.delete(f"/tasks/{task_id}")
        holds("cancelling what has ended tells how it ended", cancelled.json()["status"] == "completed", cancelled.text)


def refusals():
    with httpx.Client(base_url=URL, timeout=30) as client:
        def sentence(claim, answer, status):
            body = answer.json()
            holds(claim, answer.status_code == status and isinstance(body["detail"], str) and body["detail"],
                  (answer, answer.text))

        sentence("an unknown path is 404", client.get("/nowhere"), 404)
        sentence("an unknown task is 404", client.get(f"/chat/task/{uuid.uuid4()}"), 404)
        wrong_method = client.get("/chat")
        sentence("a wrong method is 405", wrong_method, 405)
        holds("with what is allowed", wrong_method.headers["allow"] == "POST, OPTIONS", wrong_method.headers)
        sentence("another kind of body is 415", client.post("/chat", content=b"hello"), 415)
        sentence("a form is 415", client.post("/chat", data={"message": "hello"}), 415)

        large = json.dumps({"message": "x" * 300_000})
        # The connection ends with the answer: a client that is still sending may see that first.
        with httpx.Client(base_url=URL, timeout=30) as other:
            sentence("a body over 256 KiB is 413",
                     other.post("/chat", content=large, headers={"Content-Type": "application/json"}), 413)

        for claim, body, place, kind in [
            ("a body that is no JSON", b"{", ["body", 1], "json_invalid"),
            ("a missing message", b"{}", ["body", "message"], "missing"),
            ("a message that is no text", b'{"message":1}', ["body", "message"], "string_type"),
            ("an empty message", b'{"message":" "}', ["body", "message"], "string_too_short"),
            ("an unknown role", b'{"message":"a","conversation_history":[{"role":"x","content":"y"}]}',
             ["body", "conversation_history", 0, "role"], "literal_error"),
            ("an unknown on_disconnect", b'{"message":"a","on_disconnect":"x"}', ["body", "on_disconnect"],
             "literal_error"),
        ]:
            answer = client.post("/chat", content=body, headers={"Content-Type": "application/json"})
            detail = answer.json()["detail"]
            good = answer.status_code == 422 and detail[0]["loc"] == place and detail[0]["type"] == kind
            holds(f"{claim} is 422 and says where", good and detail[0]["msg"], (answer, detail))
        holds("a parameter that is no number is 422", client.get("/tasks", params={"limit": "x"}).status_code == 422)

        options = client.options("/chat/stream")
        holds("OPTIONS is 204 with what is allowed",
              (options.status_code, options.headers["allow"], options.content) == (204, "POST, OPTIONS", b""), options)
        holds("HEAD has no body", client.head("/info").content == b"")

    with httpx.Client(base_url=FORGETFUL_URL, timeout=30) as client:
        first = client.post("/chat", json=QUESTION).json()["run_id"]
        client.post("/chat", json=QUESTION)
        expired = until(lambda: (answer := client.get(f"/chat/task/{first}")).status_code != 200 and answer, 10)
        holds("a task that is no longer kept is 410", expired is not None and expired.status_code == 410, expired)
        stream = client.get(f"/chat/task/{first}/stream")
        holds("and so is its stream", stream.status_code == 410, stream)


def fill_queue(client):
    """Puts so many runs into the queue of the server with one place that a new one waits for some seconds."""
    common = " ".join(a + b + c for a in "ba ce di fo gu ka".split() for b in "ra se ti vo".split() for c in "nms")
    began = time.monotonic()
    for _ in range(10):
        client.post("/chat", json={"message": common})
    each = (time.monotonic() - began) / 10
    count = min(50_000, int(12 / each) + 1)
    body = json.dumps({"message": common}).encode()
    request = (b"POST /chat/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    # Each connection has one request at a time kept, and all of them together share the sync that this takes.
    pipes = [socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) for _ in range(100)]
    for start in range(0, count, len(pipes)):
        for pipe in pipes:
            pipe.sendall(request)
        for pipe in pipes:
            answer = pipe.recv(1 << 16)
            while b"}" not in answer:
                answer += pipe.recv(1 << 16)
            if not answer.startswith(b"HTTP/1.1 202 "):
                holds("the queue takes what it is given", False, answer)
    for pipe in pipes:
        pipe.close()


def begin(on_disconnect=None, path="/chat"):
    """Asks over a socket of its own and does not wait; answers the socket and the run's id."""
    address = httpx.URL(QUEUEING_URL)
    body = json.dumps({"message": "bara", **({"on_disconnect": on_disconnect} if on_disconnect else {})}).encode()
    client_socket = socket.create_connection((address.host, address.port), timeout=30)
    with httpx.Client(base_url=QUEUEING_URL, timeout=30) as client:
        before = client.get("/tasks", params={"limit": 1}).json()["tasks"][0]["task_id"]
        client_socket.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                              b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body))

        def newest():
            task_id = client.get("/tasks", params={"limit": 1}).json()["tasks"][0]["task_id"]
            return task_id if task_id != before else None

        return client_socket, until(newest)


def disconnects():
    with httpx.Client(base_url=QUEUEING_URL, timeout=30) as client:
        def status(task_id):
            return client.get(f"/chat/task/{task_id}").json()["status"]

        fill_queue(client)
        accepted = client.post("/chat/async", json={"message": "bara"}).json()
        holds("a run waits when all places are taken", status(accepted["task_id"]) == "pending", accepted)
        with client.stream("GET", f"/chat/task/{accepted['task_id']}/stream") as response:
            holds("its stream begins at once", response.status_code == 200, response)
        holds("a reader of an async run who leaves does not end it", status(accepted["task_id"]) == "pending")
        for time_of_day in ("the first", "the second"):
            answer = client.delete(f"/tasks/{accepted['task_id']}")
            holds(f"{time_of_day} DELETE tells that it is cancelled", answer.json()["status"] == "cancelled", answer.text)
        with client.stream("GET", f"/chat/task/{accepted['task_id']}/stream") as response:
            kinds = [data["type"] for _, data in events_of(response)]
        holds("the stream of a cancelled run ends", kinds[-1:] == ["done"], kinds)

        reset, reset_run = begin()
        closed, closed_run = begin()
        streamed, streamed_run = begin(path="/chat/stream")
        kept, kept_run = begin(on_disconnect="continue")
        kept_stream, kept_stream_run = begin(on_disconnect="continue", path="/chat/stream")
        runs = [reset_run, closed_run, streamed_run, kept_run, kept_stream_run]
        holds("five clients wait for their runs", all(status(run) == "pending" for run in runs), runs)

        hang_up(reset)
        gone = until(lambda: status(reset_run) == "cancelled", 0.8)
        holds("a reset of /chat cancels its run at once", gone, status(reset_run))

        began = time.monotonic()
        for client_socket in (closed, streamed, kept, kept_stream):
            client_socket.close()
        holds("a FIN does not", status(closed_run) == "pending", status(closed_run))
        gone = until(lambda: status(closed_run) == "cancelled", 10)
        took = time.monotonic() - began
        holds("a client of /chat that is gone cancels its run after the grace", gone and took > 0.8,
              (status(closed_run), took))
        gone = until(lambda: status(streamed_run) == "cancelled", 10)
        holds("and so does one of /chat/stream", gone, status(streamed_run))
        still = [status(run) for run in (kept_run, kept_stream_run)]
        holds("with on_disconnect: continue the run stays", not {"cancelled", "failed"} & set(still), still)

        # Lets the queue go, so that those two have their turn.
        before = None
        while True:
            page = client.get("/tasks", params={"limit": 1000, **({"before": before} if before else {})}).json()
            for task in page["tasks"]:
                if task["status"] not in FINAL and task["task_id"] not in runs:
                    client.delete(f"/tasks/{task['task_id']}")
            before = page["next"]
            if before is None:
                break
        for name, run in (("/chat", kept_run), ("/chat/stream", kept_stream_run)):
            ended = until(lambda: status(run) in FINAL)
            holds(f"and is completed without its reader ({name})", ended and status(run) == "completed", status(run))


def knowledge():
    with httpx.Client(base_url=URL, timeout=30) as client:
        body = client.post("/chat", json=QUESTION).json()
        holds("the notes answer a question about them", body["sources"], body)
        for source in body["sources"]:
            note = NOTES / source["path"]
            size = note.stat().st_size if note.is_file() else -1
            if not 0 <= source["start"] < source["end"] <= size:
                holds("a source is a place in a note", False, source)
        holds("every source is a place in a note", True)


connections_and_answers()
tasks()
refusals()
disconnects()
knowledge()
