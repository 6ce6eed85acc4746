"""Conversations under a session_id, as httpx has them: follow-ups, messages that meet, kills, and what is let go of.

Called by `run`. Each part has a server and a folder of its own.
"""

import pathlib
import random
import shutil
import tempfile
import threading

import httpx

import claims
from claims import until
from scripted_model import PATIENCE, ScriptedModel
from servers import Oneloop, end_within

holds = claims.by("sessions")


def folder(**notes):
    """A new folder with these notes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-sessions-"))
    for name, text in notes.items():
        (path / f"{name}.md").write_text(text)
    return path


def said(server, session):
    """What was said in a session, without what tells when."""
    answer = server.client.get(f"/sessions/{session}")
    if answer.status_code != 200:
        return answer.status_code
    return [message["content"] for message in answer.json()["messages"]]


def talks():
    notes = folder(
        espresso="# Espresso machine\n\nThe espresso machine is a Rancilio. It is cleaned on Fridays.\n",
        kettle="# Kettle\n\nThe kettle holds two litres. It is cleaned on Mondays.\n",
    )
    state = tempfile.mkdtemp(prefix="oneloop-sessions-state-")
    with Oneloop("talks", notes, "--state-dir", state, "--session-keep", "3") as server:
        first = server.chat("What is the espresso machine?", session_id="kitchen")
        holds("the first message of a session is answered as any other", "Rancilio" in first["response"], first)
        second = server.chat("And when is it cleaned?", session_id="kitchen")
        holds("the next follows it up without a history", "Fridays" in second["response"], second)
        server.chat("What is the kettle?", session_id="another")
        apart = server.chat("And when is it cleaned?", session_id="another")
        holds("another session knows nothing of it", "Mondays" in apart["response"], apart)
        told = server.chat("And when is it cleaned?", session_id="another", conversation_history=[
            {"role": "user", "content": "What is the espresso machine?"}, {"role": "assistant", "content": "A Rancilio."}])
        holds("a history that the client tells counts instead", "Fridays" in told["response"], told)
        texts = ["What is the espresso machine?", first["response"], "And when is it cleaned?", second["response"]]
        holds("a session has what was said, in order", said(server, "kitchen") == texts, said(server, "kitchen"))
        whole = server.get("/sessions/kitchen")
        runs = [message["task_id"] for message in whole["messages"]]
        holds("each with the run that has answered",
              runs == [first["run_id"]] * 2 + [second["run_id"]] * 2 and whole["status"] == "idle", whole)
    with Oneloop("talks", notes, "--state-dir", state, "--session-keep", "3") as server:
        holds("a killed server has kept it", said(server, "kitchen") == texts, said(server, "kitchen"))
        third = server.chat("And what is it?", session_id="kitchen")
        holds("and goes on with it", "Rancilio" in third["response"], third)
        page = server.get("/sessions?limit=1")
        names = [page["sessions"][0]["session_id"]]
        page = server.client.get("/sessions", params={"limit": 1, "after": page["next"]}).json()
        names.append(page["sessions"][0]["session_id"])
        holds("sessions are listed, the one spoken in last first", names == ["kitchen", "another"] and page["next"] is None,
              (names, page))
        titles = {row["session_id"]: row["title"] for row in server.get("/sessions")["sessions"]}
        holds("each by how its oldest message begins",
              titles == {"kitchen": texts[0], "another": "What is the kettle?"}, titles)
        asked = [(task["message"], task["session_id"]) for task in server.get("/tasks")["tasks"]]
        holds("the tasks of a killed server tell what they were asked in which session",
              (texts[0], "kitchen") in asked and asked[0] == ("And what is it?", "kitchen"), asked)
        for name in ["three", "four"]:
            server.chat("What is the kettle?", session_id=name)
        names = [row["session_id"] for row in server.get("/sessions")["sessions"]]
        holds("the one that nobody speaks in makes room", names == ["four", "three", "kitchen"], names)
        gone = server.client.delete("/sessions/kitchen")
        holds("a session is dropped with 204", gone.status_code == 204, gone.text)
        again = server.client.delete("/sessions/kitchen")
        holds("and then is 404", (again.status_code, said(server, "kitchen")) == (404, 404), again.text)
        task = server.client.get(f"/chat/task/{third['run_id']}")
        holds("the run that has answered stays", task.json()["status"] == "completed", task.text)
        anew = server.chat("What is the kettle?", session_id="kitchen")
        holds("one of the same name begins anew", said(server, "kitchen") == ["What is the kettle?", anew["response"]], anew)
        for fields, place in [({"session_id": "a/b"}, "session_id"), ({"session_id": ".."}, "session_id"),
                              ({"session_id": "x" * 129}, "session_id"), ({"session_id": 7}, "session_id"),
                              ({"session_id": "a", "on_busy": "wait"}, "on_busy")]:
            refused = server.chat("a", **fields)
            holds(f"{str(fields)[:40]} is 422 at {place}", refused["refused"] == 422 and
                  refused["detail"][0]["loc"] == ["body", place], refused)
    shutil.rmtree(state)
    shutil.rmtree(notes)


def meetings():
    """Messages that come while another of their session is not answered: a model that waits to be let go holds it up."""
    notes, go_on = folder(tea="# Tea\n\nGreen tea wants 80 degrees.\n"), threading.Event()

    def script(request, reply):
        asked = request.messages[-1]["content"]
        if "slowly" in asked:
            go_on.wait(PATIENCE)
        heard = [message["content"] for message in request.messages if message["role"] == "user"]
        reply.answer(f"I have heard {len(heard)} messages.")

    with ScriptedModel(script) as model, \
            Oneloop("meetings", notes, "--model-url", model.url(), "--model", "scripted", "--agent", "rag",
                    "--runs-max", "2") as server:
        slow = server.begin("Tell me slowly of tea.", session_id="s")
        until(lambda: server.get(f"/chat/task/{slow}")["status"] == "running")
        waiting = [server.begin(f"Tell me of tea, number {number}.", session_id="s") for number in range(3)]
        other = server.chat("Tell me of tea.", session_id="other")
        holds("a session that is held up takes one place and no more", "1 messages" in other["response"], other)
        session = server.get("/sessions/s")
        states = [(message["task_id"], message["status"]) for message in session["unanswered"]]
        holds("what is not answered is told in order",
              session["status"] == "busy" and states == [(slow, "running")] + [(task, "pending") for task in waiting], session)
        refused = server.chat("Tell me of tea.", session_id="s", on_busy="reject")
        holds("who does not want to wait is told 409, and by whom",
              refused["refused"] == 409 and slow in refused["detail"], refused)
        dropped = server.client.delete("/sessions/s")
        holds("a session in which something is to be said is not dropped", dropped.status_code == 409, dropped.text)
        server.client.delete(f"/tasks/{waiting[1]}")
        go_on.set()
        ended = [server.ended(task) for task in [slow, waiting[0], waiting[2]]]
        answers = [task["result"]["response"] for task in ended]
        holds("the others are answered one after the other, each knowing those before it",
              answers == [f"I have heard {count} messages." for count in [1, 2, 3]], answers)
        holds("one that was cancelled was not said", len(said(server, "s")) == 6, said(server, "s"))
        go_on.clear()
        slow = server.begin("Tell me slowly of tea.", session_id="s")
        waiting = server.begin("Tell me of tea.", session_id="s")
        until(lambda: server.get(f"/chat/task/{slow}")["status"] == "running")
        last = server.begin("Tell me of tea, at last.", session_id="s", on_busy="cancel")
        ended = [server.ended(task)["status"] for task in [slow, waiting, last]]
        holds("the others are cancelled for one that wants it", ended == ["cancelled", "cancelled", "completed"], ended)
        go_on.clear()
        # In words that nobody has used: an answer that is remembered would not be slow.
        held = [server.begin(f"Tell me slowly of tea, {number}.", session_id="full") for number in range(16)]
        refused = server.client.post("/chat/async", json={"message": "Tell me of tea.", "session_id": "full"})
        holds("too many of one session are 503 with Retry-After",
              refused.status_code == 503 and refused.headers["retry-after"] == "1", refused.text)
        go_on.set()
        holds("and all that were accepted are answered",
              all(server.ended(task)["status"] == "completed" for task in held))
    shutil.rmtree(notes)


def kills():
    """A server is killed again and again while many talk in one session."""
    notes, chance = folder(tea="# Tea\n\nGreen tea wants 80 degrees.\n"), random.Random(7)
    state = tempfile.mkdtemp(prefix="oneloop-sessions-state-")
    accepted = []
    for kill in range(30):
        server = Oneloop("killed-talks", notes, "--state-dir", state)
        done = threading.Event()

        def talk(number):
            with httpx.Client(base_url=server.url, timeout=20, trust_env=False) as client:
                while not done.is_set():
                    try:
                        question = {"message": f"How warm is tea {number} {kill}?", "session_id": "one"}
                        answer = client.post("/chat/async", json=question)
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 202:
                        accepted.append(answer.json()["task_id"])
                    else:
                        done.wait(0.01)

        talkers = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
        for talker in talkers:
            talker.start()
        done.wait(chance.uniform(0.0, 0.3))
        server.kill()
        done.set()
        for talker in talkers:
            talker.join()
    with Oneloop("killed-talks", notes, "--state-dir", state) as server:
        ended = {task: server.ended(task)["status"] for task in accepted}
        lost = [task for task, status in ended.items() if status not in {"completed", "failed"}]
        holds(f"of {len(ended)} accepted messages none is lost in 30 kills", lost == [] and len(ended) > 100, lost)
        failed = [task for task, status in ended.items() if status == "failed"]
        holds("only those that were at work in three of them are given up", len(failed) <= 10, failed)
        messages = server.get("/sessions/one")["messages"]
        kept = [message["task_id"] for message in messages[::2]]
        newest = sorted(task for task, status in ended.items() if status == "completed")[-150:]
        holds("the session has the newest of them in order, each once",
              kept == sorted(set(kept)) and set(newest) <= set(kept), (len(kept), len(newest)))
    shutil.rmtree(state)
    shutil.rmtree(notes)


end_within(300)
talks()
meetings()
kills()
