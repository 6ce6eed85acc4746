"""What becomes of a run when a model's server does this or that. Called by `run`, which has set the addresses.

The servers are scripted, as no real one errs on demand; `with_model.py` has the real one.
"""

import pathlib
import re
import shutil
import tempfile
import threading
import time

import httpx

import claims
from claims import Reader, until
from scripted_model import PATIENCE, ScriptedModel
from scripted_proxy import ScriptedProxy
from servers import Oneloop, ask, end_within, unused_port

NOTES = pathlib.Path(__file__).parent / "garden"
QUESTION = "How are tomatoes watered?"
KEY = "sk-a-key-that-nobody-may-read"

holds = claims.by("model")


def by(model, *arguments):
    """The flags with which a server of ours asks this one."""
    return ["--model-url", model if isinstance(model, str) else model.url(), "--model", "scripted", *arguments]


def tools():
    def script(request, reply):
        match len(request.results):
            case 0:
                reply.calls("search_notes", query="When is the compost heap turned?", limit=1)
            case 1:
                reply.calls("read_note", path=re.search('path="(.*?)"', request.results[0])[1])
            case _:
                mark = re.search(r'<passage n="(\d+)"', request.results[1])[1]
                reply.answer(f'At the root [1]. And: "The compost heap is turned every third week" [{mark}], not [99].')

    with ScriptedModel(script) as model, Oneloop("tools", NOTES, *by(model)) as server:
        with server.stream(QUESTION) as response:
            reader = Reader().read(response)
        answer = reader.response()
        holds("a model that calls a tool twice is asked three times", len(model.requests) == 3, model.requests)
        offered = sorted(tool["function"]["name"] for tool in model.requests[0].body["tools"])
        holds("it is offered the four tools that look, and the one that may write",
              offered == ["create_note", "list_links", "list_notes", "read_note", "search_notes"], offered)
        used = [event["detail"] for event in reader.all("status") if event["status"] == "using_tool"]
        holds("a reader is told of each use of a tool", len(used) == 2 and "compost.md" in used[1], used)
        counts = [len(event["sources"]) for event in reader.all("sources")]
        holds("what the tools found becomes sources", counts == sorted(counts) and counts[-1] > counts[0], counts)
        cited = [source["path"] for source in answer["sources"]]
        holds("the answer has them all", len(cited) == counts[-1] and "compost.md" in cited, cited)
        quote = {"text": "The compost heap is turned every third week", "verified": True}
        found = [quote | {"source": place} == seen for seen in answer["quotes"] for place in range(1, len(cited) + 1)
                 if cited[place - 1] == "compost.md"]
        holds("a quote of what a tool found is verified", any(found), answer["quotes"])
        holds("a mark that names no source is taken out, and said so",
              "[99]" not in answer["response"] and any("no source" in why for why in answer["degraded"]), answer)
        holds("its tokens together are the answer", reader.text() == answer["response"], (reader.text(), answer))
        holds("the tokens of all rounds are counted",
              answer["usage"] == {"prompt_tokens": 21, "completion_tokens": 15}, answer["usage"])


def writing_tools():
    calls = [("append_note", {"path": "list", "content": "- milk"}),
             ("create_note", {"title": "Milk", "content": "It is white.", "folder": "drinks", "tags": ["white"]}),
             ("link_notes", {"from": "list.md", "to": "drinks/Milk.md"})]

    def script(request, reply):
        if len(request.results) < len(calls):
            name, arguments = calls[len(request.results)]
            reply.calls(name, **arguments)
        else:
            reply.answer("It is on the list.")

    notes = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-writing-"))
    before = "# List\r\n\r\n- tea"
    (notes / "list.md").write_bytes(before.encode())
    with ScriptedModel(script) as model, Oneloop("writing", notes, *by(model, "--writes", "all")) as server:
        with server.stream("Put milk on my list, would you?") as response:
            reader = Reader().read(response)
        answer = reader.response()
        updates = answer["knowledge_updates"]
        told = [(update["action"], update["path"]) for update in updates]
        holds("a model that appends, creates and links has done so",
              told == [("appended", "list.md"), ("created", "drinks/Milk.md"), ("linked", "list.md")], told)
        holds("each change was streamed", [event["update"] for event in reader.all("update")] == updates, updates)
        milk = (notes / "drinks/Milk.md").read_text()
        holds("the new note has its title, text and tags", "# Milk\n\nIt is white.\n" in milk and '"white"' in milk, milk)
        found = (notes / "list.md").read_bytes().decode()
        holds("what was added has the note's own line ends",
              found == before + "\r\n- milk\r\n\r\n## Related\r\n\r\n- [[drinks/Milk]]\r\n", found)

        def undo(update):
            return server.client.post("/notes/undo", json={"id": update["id"]}).status_code

        codes = [undo(updates[place]) for place in (0, 2, 0, 1, 1)]
        holds("undone in the order that is possible, and once", codes == [409, 200, 200, 200, 409], codes)
        holds("all is exactly as it was", (notes / "list.md").read_bytes() == before.encode()
              and not (notes / "drinks/Milk.md").exists())
    with ScriptedModel(script) as model, Oneloop("no-writing", notes, *by(model, "--writes", "off")) as server:
        answer = server.chat("Put milk on my list, would you?")
        results = model.requests[-1].results
        holds("with --writes off a model is told that it may not",
              len(results) == 3 and all("nothing may be written" in result for result in results), results)
        holds("and nothing is written", answer["knowledge_updates"] == [] and sorted(
            path.name for path in notes.rglob("*.md")) == ["list.md"], answer)
    shutil.rmtree(notes)


def without_tools():
    def script(request, reply):
        if "tools" in request.body:
            reply.refuse(400, "this model does not support tools")
        else:
            reply.answer("At the root [1].")

    with ScriptedModel(script) as model:
        with Oneloop("auto", NOTES, *by(model)) as server:
            first = server.chat(QUESTION)
            holds("a server that refuses tools is asked without them", first["answered_by"] == "model", first)
            server.chat("Where do the hives stand?")
            offered = ["tools" in request.body for request in model.requests]
            holds("and is offered none the next time", offered == [True, False, False], offered)
            holds("as /info says", server.model()["tools"] is False, server.model())
        model.requests.clear()
        with Oneloop("rag", NOTES, *by(model, "--agent", "rag")) as server:
            answer = server.chat(QUESTION)
            asked = [request.body for request in model.requests]
            holds("with --agent rag no tool is offered", len(asked) == 1 and "tools" not in asked[0], asked)
            holds("and the passages are in the prompt", "never on the leaves" in str(asked[0]["messages"]), asked)
            holds("from which it answers",
                  (answer["answered_by"], answer["response"]) == ("model", "At the root [1]."), answer)


def shared():
    goes_on = threading.Event()

    def script(request, reply):
        reply.tokens("At ", "the ")
        goes_on.wait(PATIENCE)
        reply.answer("root [1].")

    with ScriptedModel(script) as model, Oneloop("shared", NOTES, *by(model)) as server:
        tasks = [server.begin(QUESTION) for _ in range(2)]
        joined = until(lambda: server.model()["shared"] == 1)
        holds("a question that is asked twice at once is one call",
              joined and server.model()["calls"] == 1, server.model())
        goes_on.set()
        results = [server.ended(task)["result"] for task in tasks]
        holds("whose answer both have", [result["response"] for result in results] == ["At the root [1]."] * 2, results)
        holds("each as a run of its own", [result["run_id"] for result in results] == tasks, results)
        holds("and the model was asked once", len(model.requests) == 1, model.requests)
        with server.stream(QUESTION) as response:
            reader = Reader().read(response)
        holds("asked again, the answer is there at once", reader.response()["cached"] and len(model.requests) == 1,
              reader.response())
        holds("and streams as any other", reader.text() == "At the root [1].", reader.events)
        page = server.chat("  how are tomatoes  watered ")
        holds("with other spaces and ends it is the same question", page["cached"] and len(model.requests) == 1, page)


def first_the_notes():
    goes_on = threading.Event()

    def script(request, reply):
        goes_on.wait(PATIENCE)
        reply.answer("At the root, says the model [1].")

    with ScriptedModel(script) as model, Oneloop("fast-first", NOTES, *by(model)) as server:
        reader, built_in = Reader(), None
        with server.stream(QUESTION, strategy="fast-first") as response:
            for identity, event in claims.events_of(response):
                reader.receive(identity, event)
                if event["type"] == "status" and event["status"] == "asking":
                    built_in = reader.text()
                    goes_on.set()
        answer = reader.response()
        holds("fast-first tells the notes' answer while the model thinks",
              built_in and "never on the leaves" in built_in, reader.events)
        holds("one revision makes it void", len(reader.all("revision")) == 1, reader.kinds)
        holds("and the tokens after it are the model's answer",
              reader.text() == answer["response"] == "At the root, says the model [1].", reader.events)
        holds("which is the one that counts", answer["answered_by"] == "model" and answer["degraded"] == [], answer)


def refusals():
    def patient(request, reply):
        if len(model.requests) == 1:
            reply.refuse(429, "one at a time", Retry_After="1")
        else:
            reply.answer("At the root [1].")

    with ScriptedModel(patient) as model, Oneloop("patient", NOTES, *by(model)) as server:
        began = time.monotonic()
        answer = server.chat(QUESTION)
        took = time.monotonic() - began
        holds("429 with Retry-After: 1 is tried again a second later",
              answer["answered_by"] == "model" and len(model.requests) == 2 and took >= 1, (answer, took))
        holds("and counted", server.model()["retried"] == 1, server.model())

    def moved(request, reply):
        reply.refuse(302, "over there", Location=f"http://127.0.0.1:{other.port}/v1/chat/completions")

    with ScriptedModel(moved) as other, ScriptedModel(moved) as model:
        answer, _ = ask(NOTES, QUESTION, *by(model))
        holds("a redirect is not followed", len(model.requests) == 1 and not other.requests, answer)
        holds("and the answer says why the notes gave it",
              answer["answered_by"] == "notes" and "redirects (302)" in answer["degraded"][0], answer)

    nobody = f"http://127.0.0.1:{unused_port()}/v1"
    answer, said = ask(NOTES, QUESTION, *by(nobody, "--no-fallback"))
    holds("with --no-fallback and no server, oneloop ask fails with the reason",
          answer["failed"] == 1 and "can't be reached: connection refused" in said, (answer, said))
    with Oneloop("no-fallback", NOTES, *by(nobody, "--no-fallback")) as server:
        answer = server.chat(QUESTION)
        holds("and /chat answers 5xx with the reason",
              answer.get("refused", 0) >= 500 and "can't be reached" in answer["detail"], answer)


def key():
    def script(request, reply):
        authorization = request.headers["Authorization"]
        question = request.messages[-1]["content"].splitlines()[-1]
        if "key" in question:
            reply.refuse(401, f"Incorrect API key provided: {authorization}")
        elif "fork" in question:
            reply.refuse(401, f"{'No, ' * 90}not with {authorization}")
        else:
            reply.answer("At the root [1].")

    with ScriptedModel(script) as model:
        with Oneloop("key", NOTES, *by(model, "--dev"), OPENAI_API_KEY=KEY) as server:
            server.chat(QUESTION)
            sent = model.requests[0].headers["Authorization"]
            holds("the key in OPENAI_API_KEY is sent to the model's server", sent == f"Bearer {KEY}", sent)
            task = server.ended(server.begin("Where does the key of the shed hang?"))
            holds("one that is refused is a reason for the notes to answer",
                  task["result"]["answered_by"] == "notes" and "401" in task["result"]["degraded"][0], task)
            with server.client.stream("GET", f"/chat/task/{task['task_id']}/stream") as response:
                stream = response.read().decode()
            cut = server.chat("Where does the fork of the shed hang?")
            holds("and so is one in a refusal so long that a cut may fall within the key",
                  "401" in cut["degraded"][0], cut)
            told = [str(task), stream, str(cut), server.client.get("/info").text, server.client.get("/tasks").text]
            holds("no answer has any of the key, not even where its server repeats it",
                  not any(KEY[:6] in text for text in told), told)
            log = server.logged()
            holds("nor has a line that --dev logs", cut["run_id"] in log and KEY[:6] not in log, log)
        arguments = by(model, "--dev", "--no-fallback", "--model-key-env", "OTHER")
        with Oneloop("failing-key", NOTES, *arguments, OTHER=KEY) as server:
            answer = server.chat("Where does the key of the shed hang?")
            sent = model.requests[-1].headers["Authorization"]
            holds("--model-key-env names another variable", sent == f"Bearer {KEY}", sent)
            holds("a run that fails tells no key either",
                  answer.get("refused", 0) >= 500 and KEY[:6] not in str(answer) + server.logged(), answer)


def proxy():
    def script(request, reply):
        reply.answer("At the root [1].")

    with ScriptedModel(script) as model, ScriptedProxy(model.port) as proxy:
        # It is this machine as 127.0.0.1 is, but no loopback address, which would never be asked for through a proxy.
        url = model.url("0.0.0.0")
        answer, _ = ask(NOTES, QUESTION, *by(url), HTTP_PROXY=proxy.address)
        heads = [head[0] for head in proxy.heads]
        holds("with HTTP_PROXY the request goes there, in absolute form",
              heads == [f"POST {url}/chat/completions HTTP/1.1"], heads)
        holds("and is answered", answer["answered_by"] == "model", answer)
        host = [line for line in proxy.heads[0] if line.lower().startswith("host:")]
        holds("its Host is the model's", host == [f"Host: 0.0.0.0:{model.port}"], host)

        answer, _ = ask(NOTES, QUESTION, *by("http://model.example/v1"), HTTP_PROXY=proxy.address)
        heads = [head[0] for head in proxy.heads[1:]]
        holds("a name is for the proxy to look up",
              answer["answered_by"] == "model" and "http://model.example/v1/" in heads[0], (answer, heads))

        proxy.heads.clear()
        answer, _ = ask(NOTES, QUESTION, *by(url), HTTP_PROXY=proxy.address, NO_PROXY="elsewhere.example,0.0.0.0")
        holds("what NO_PROXY names goes past it",
              answer["answered_by"] == "model" and not proxy.heads, (answer, proxy.heads))
        answer, _ = ask(NOTES, QUESTION, *by(model), HTTP_PROXY=proxy.address)
        holds("and so does what is on this machine", answer["answered_by"] == "model" and not proxy.heads, answer)

    with ScriptedProxy() as proxy:
        proxies = {"HTTP_PROXY": proxy.address, "HTTPS_PROXY": proxy.address}
        for claim, url in [
            ("a proxy that wants another password is asked once", "http://model.example/v1"),
            ("and so for a tunnel", "https://model.example/v1"),
        ]:
            answer, _ = ask(NOTES, QUESTION, *by(url), **proxies)
            holds(claim, len(proxy.heads) == 1, proxy.heads)
            holds("and the answer says so",
                  "the proxy wants another name and password (407)." in answer["degraded"][0], answer)
            proxy.heads.clear()


def faults():
    over = threading.Event()

    def silent(request, reply):
        over.wait(PATIENCE)

    def falls_silent(request, reply):
        reply.tokens("At ", "the ")
        over.wait(PATIENCE)

    def fails(request, reply):
        reply.tokens("At ", "the ")
        reply.event({"error": {"message": "out of memory"}})

    def breaks_off(request, reply):
        reply.tokens("At ", "the ")
        reply.handler.close_connection = True

    for claim, script, words in [
        ("does not begin", silent, "did not begin to answer within 1 s"),
        ("falls silent", falls_silent, "fell silent for 1 s within its answer"),
        ("fails within its answer", fails, "out of memory"),
        ("breaks off its answer", breaks_off, "closed the connection"),
    ]:
        with ScriptedModel(script) as model:
            timeouts = ["--model-first-byte-timeout", "1", "--model-gap-timeout", "1"]
            answer, said = ask(NOTES, QUESTION, *by(model, *timeouts))
            holds(f"for a server that {claim} the notes answer, and say so",
                  answer["answered_by"] == "notes" and words in answer["degraded"][0], (answer, said))
            holds("it is asked once", len(model.requests) == 1, model.requests)
    over.set()

    def at_once(request, reply):
        message = {"role": "assistant", "content": "At the root [1]."}
        reply.whole({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def by_another_name(request, reply):
        if "max_completion_tokens" in request.body:
            reply.answer("At the root [1].")
        else:
            reply.refuse(400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")

    for claim, script in [
        ("does not stream is heard all the same", at_once),
        ("calls max_tokens by another name is asked by that", by_another_name),
    ]:
        with ScriptedModel(script) as model:
            answer, said = ask(NOTES, QUESTION, *by(model))
            holds(f"a server that {claim}",
                  (answer["answered_by"], answer["response"]) == ("model", "At the root [1]."), (answer, said))


def stopped():
    goes_on = threading.Event()

    def script(request, reply):
        reply.tokens("At ", "the ")
        goes_on.wait(PATIENCE)
        reply.answer("root [1].")

    with ScriptedModel(script) as model, Oneloop("stopped", NOTES, *by(model)) as server:
        reader = Reader()
        with server.stream(QUESTION) as response:
            for identity, event in claims.events_of(response):
                reader.receive(identity, event)
                if event["type"] == "token" and not goes_on.is_set():
                    server.process.terminate()
                    until(lambda: "stopping" in server.logged())
                    goes_on.set()
        holds("a server of ours that is stopped lets the model end its answer",
              reader.kinds[-2:] == ["complete", "done"] and reader.text() == "At the root [1].", reader.events)
        code = server.process.wait(30)
        holds("and then ends well", code == 0, code)


if __name__ == "__main__":
    end_within(120)
    tools()
    writing_tools()
    without_tools()
    shared()
    first_the_notes()
    refusals()
    key()
    proxy()
    faults()
    stopped()
