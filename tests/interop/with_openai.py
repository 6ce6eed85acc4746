"""What OpenAI's own library for Python makes of /v1. Called by `run`, which has set the addresses.

Each part has a server of its own. The model and the embedding server behind it are scripted: what is tried is what a client
is told of a run, and that depends on when a model says what.
"""

import asyncio
import base64
import logging
import math
import pathlib
import struct
import threading
import time

import openai

import claims
from claims import until
from scripted_model import PATIENCE, ScriptedModel
from servers import Oneloop, end_within, unused_port

NOTES = pathlib.Path(__file__).parent / "garden"
QUESTION = "How are tomatoes watered?"
SAID = "Every second morning [1], at the root."
NEVER = 600

holds = claims.by("openai")


def client_of(server, kind=openai.OpenAI, **fields):
    """The library's client, with nothing set but where the server is."""
    return kind(base_url=f"{server.url}/v1", api_key="none", **fields)


def asked(text, *before):
    return [{"role": role, "content": said} for role, said in before] + [{"role": "user", "content": text}]


def by(model, *arguments):
    return ["--model-url", model.url(), "--model", "scripted", *arguments]


def refused(kind, call):
    """The error that a call raises, if it is of this kind."""
    try:
        answer = call()
    except openai.OpenAIError as error:
        return error if type(error) is kind else holds(f"it raises {kind.__name__}", False, repr(error))
    return holds(f"it raises {kind.__name__}", False, answer)


def status_of(server, run):
    return server.get(f"/chat/task/{run}")["status"]


class Retries(logging.Handler):
    """What the library says of its retries, and whoever waits for one."""

    def __init__(self, then=lambda: None):
        super().__init__(logging.INFO)
        self.waits, self.then = [], then

    def emit(self, record):
        if "Retrying request" in record.getMessage():
            self.waits.append(float(record.getMessage().split(" in ")[1].split()[0]))
            self.then()

    def __enter__(self):
        logger = logging.getLogger("openai._base_client")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("openai._base_client").removeHandler(self)


def answers():
    with Oneloop("openai-notes", NOTES) as server, client_of(server) as client:
        completion = client.chat.completions.create(model="oneloop", messages=asked(QUESTION))
        choice, extra = completion.choices[0], completion.model_extra
        holds("a completion is an answer out of the notes",
              "never on the leaves" in choice.message.content and choice.finish_reason == "stop"
              and choice.message.role == "assistant" and choice.message.refusal is None, completion)
        holds("what the library has no word for is there beside it",
              extra["sources"][0]["path"] == "tomatoes.md" and extra["answered_by"] == "notes" and extra["degraded"] == [],
              extra)
        holds("its id names the run, which can be asked for",
              completion.id == f"chatcmpl-{extra['run_id']}" and status_of(server, extra["run_id"]) == "completed",
              completion.id)
        holds("where no model is asked no tokens are used", completion.usage.total_tokens == 0, completion.usage)
        before = [("user", "When is the compost turned?"), ("assistant", "Every third week."), ("user", "And with what?")]
        follows = client.chat.completions.create(model="oneloop", messages=asked(before[-1][1], *before[:2]))
        holds("what was said before counts", "fork" in follows.choices[0].message.content, follows)
        parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        tuned = client.chat.completions.create(model="oneloop-notes", messages=parts, temperature=0.1, max_tokens=9, seed=7,
                                               top_p=0.5, user="me", tools=[], extra_body={"nobody": "knows"})
        holds("a message in parts is read, and what only tunes a model is passed over",
              "never on the leaves" in tuned.choices[0].message.content, tuned)

        names = [model.id for model in client.models.list()]
        holds("the models are listed", names == ["oneloop", "oneloop-notes"], names)
        one = client.models.retrieve("oneloop-notes")
        holds("and one of them is found", (one.id, one.owned_by) == ("oneloop-notes", "oneloop"), one)

        headers = {"X-OpenWebUI-Chat-Id": "0b5e-a-chat"}
        first = client.chat.completions.create(model="oneloop", messages=asked("When is the compost turned?"),
                                               extra_headers=headers)
        client.chat.completions.create(model="oneloop", messages=asked("And with what?"), extra_headers=headers)
        said = server.get("/sessions/0b5e-a-chat")["messages"]
        holds("under X-OpenWebUI-Chat-Id the server keeps a session",
              len(said) == 4 and said[1]["content"] == first.choices[0].message.content and "fork" in said[3]["content"], said)

        async def many():
            async with client_of(server, openai.AsyncOpenAI) as client:
                calls = [client.chat.completions.create(model="oneloop", messages=asked(QUESTION)) for _ in range(50)]
                return await asyncio.gather(*calls)

        runs = {completion.id for completion in asyncio.run(many())}
        holds("fifty at once are fifty runs", len(runs) == 50, len(runs))


def errors():
    with Oneloop("openai-errors", NOTES) as server, client_of(server) as client:
        def create(**fields):
            fields = {"model": "oneloop", "messages": asked(QUESTION)} | fields
            return client.chat.completions.create(**fields)

        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
        for what, fields, place in [
            ("two answers", {"n": 2}, "n"),
            ("a client's tools", {"tools": [tool]}, "tools"),
            ("JSON", {"response_format": {"type": "json_object"}}, "response_format"),
            ("probabilities", {"logprobs": True}, "logprobs"),
            ("a stop word", {"stop": ["a"]}, "stop"),
            ("a picture", {"messages": [{"role": "user", "content": picture}]}, "messages[0].content"),
            ("no message", {"messages": []}, "messages"),
        ]:
            error = refused(openai.BadRequestError, lambda fields=fields: create(**fields))
            holds(f"asked for {what} it raises BadRequestError, which names the place", error.param == place, error)
        error = refused(openai.NotFoundError, lambda: create(model="gpt-4o"))
        holds("another model raises NotFoundError", (error.code, error.param) == ("model_not_found", "model"), error)
        error = refused(openai.NotFoundError, lambda: client.models.retrieve("gpt-4o"))
        holds("also when it is looked for", error.code == "model_not_found", error)
        error = refused(openai.NotFoundError, lambda: client.responses.create(model="oneloop", input="hello"))
        holds("what there is not raises NotFoundError with a sentence", "no such path" in error.message, error)
        error = refused(openai.APIStatusError, lambda: create(messages=asked("x" * 300_000)))
        holds("a body that is too large is 413", error.status_code == 413 and "bytes" in error.message, error)
        error = refused(openai.APIStatusError, lambda: create(extra_headers={"Content-Type": "text/plain"}))
        holds("a body that is no JSON is 415", error.status_code == 415, error)
        error = refused(openai.PermissionDeniedError, lambda: create(extra_headers={"Origin": "http://evil.example"}))
        holds("a page of another origin raises PermissionDeniedError", "--cors-origin" in error.message, error)
        error = refused(openai.BadRequestError, lambda: create(extra_headers={"X-OpenWebUI-Chat-Id": "no name"}))
        holds("what can't be a session's name raises BadRequestError", "X-OpenWebUI-Chat-Id" in error.message, error)
        error = refused(openai.NotFoundError, lambda: client.embeddings.create(model="small", input="tea"))
        holds("with embeddings off, NotFoundError says how to have them",
              error.code == "embeddings_off" and "--embed-url" in error.message, error)


def streams():
    def script(request, reply):
        if "aloud" in str(request.messages[-1]):
            reply.event({"choices": [{"index": 0, "delta": {"reasoning_content": "Tomatoes, hm. "}, "finish_reason": None}]})
        reply.answer(SAID)

    with ScriptedModel(script) as model, Oneloop("openai-streams", NOTES, *by(model)) as server, client_of(server) as client:
        def stream(**fields):
            fields = {"model": "oneloop", "messages": asked(QUESTION), "stream": True} | fields
            return list(client.chat.completions.create(**fields))

        chunks = stream()
        deltas = [chunk.choices[0].delta for chunk in chunks]
        text = "".join(delta.content or "" for delta in deltas)
        holds("a stream says first who speaks, then what", deltas[0].role == "assistant" and deltas[0].content == ""
              and all(delta.role is None for delta in deltas[1:]) and text == SAID, (deltas, text))
        last = chunks[-1]
        holds("its last chunk says that it is over, with the sources",
              [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
              and last.model_extra["sources"][0]["path"] == "tomatoes.md"
              and last.id == f"chatcmpl-{last.model_extra['run_id']}", last)
        holds("all chunks are of one completion, and nobody counts unasked",
              len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
              and all(chunk.usage is None for chunk in chunks), chunks)
        chunks = stream(stream_options={"include_usage": True}, messages=asked("Where do the hives stand?"))
        usage = chunks[-1].usage
        holds("asked to count, one more chunk has the counts and no choice", chunks[-1].choices == []
              and (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (7, 5, 12)
              and all(chunk.usage is None for chunk in chunks[:-1]), chunks)
        whole = client.chat.completions.create(model="oneloop", messages=asked("What hangs in the shed?"))
        holds("a whole answer counts the model's tokens", whole.usage.total_tokens == 12
              and whole.choices[0].message.content == SAID and whole.model_extra["answered_by"] == "model", whole)
        deltas = [chunk.choices[0].delta for chunk in stream(messages=asked("Think aloud: how are tomatoes watered?"))]
        thought = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
        holds("what a model thinks aloud comes as reasoning_content", thought == "Tomatoes, hm. ", deltas)
        with client.chat.completions.stream(model="oneloop", messages=asked("Tell me of compost.")) as helper:
            kinds = {event.type for event in helper}
            final = helper.get_final_completion()
        holds("the library's own reader of streams puts the answer together",
              final.choices[0].message.content == SAID and "content.done" in kinds, (kinds, final))
        count = len(model.requests)
        quiet = stream(model="oneloop-notes")
        text = "".join(chunk.choices[0].delta.content or "" for chunk in quiet)
        holds("oneloop-notes asks no model", "never on the leaves" in text and len(model.requests) == count, text)


def cancels():
    go_on, begun = threading.Event(), threading.Event()

    def script(request, reply):
        if "fails" in str(request.messages[-1]):
            reply.refuse(400, "not this one")
            return
        reply.tokens("Slowly", " and", " ")
        begun.set()
        go_on.wait(PATIENCE)
        reply.answer("surely.")

    flags = ["--no-fallback", "--disconnect-grace", str(NEVER)]
    with ScriptedModel(script) as model, Oneloop("openai-cancels", NOTES, *by(model, *flags)) as server, \
            client_of(server) as client:
        def create(what, **fields):
            return client.chat.completions.create(model="oneloop", messages=asked(what), **fields)

        def first_words(stream):
            """The run whose stream this is, once it says something."""
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    return chunk.id.removeprefix("chatcmpl-")

        stream = create("Tell me of tomatoes.", stream=True)
        run = first_words(stream)
        holds("a stream that is read is a run at work", status_of(server, run) == "running", status_of(server, run))
        began = time.monotonic()
        stream.close()
        ended = until(lambda: status_of(server, run) == "cancelled", 5)
        holds("its run is cancelled as soon as the stream is closed, without a grace", ended and
              time.monotonic() - began < 2, (status_of(server, run), time.monotonic() - began))

        stream = create("Tell me of hives.", stream=True)
        run = first_words(stream)
        server.client.delete(f"/tasks/{run}")
        error = refused(openai.APIError, lambda: list(stream))
        holds("a run that somebody else cancels ends its stream with an APIError", error.code == "run_cancelled", error)

        runs = len(server.get("/tasks")["tasks"])
        begun.clear()

        def cancel():
            begun.wait(PATIENCE)
            newest = server.get("/tasks")["tasks"][0]["task_id"]
            server.client.delete(f"/tasks/{newest}")

        other = threading.Thread(target=cancel)
        other.start()
        with Retries() as retries:
            error = refused(openai.ConflictError, lambda: create("Tell me of the shed."))
        other.join()
        holds("one that is waited for raises ConflictError, and is not asked for again",
              "cancelled" in error.message and retries.waits == [] and len(server.get("/tasks")["tasks"]) == runs + 1,
              (error, retries.waits))
        with Retries() as retries:
            error = refused(openai.InternalServerError, lambda: create("This fails."))
        holds("a run that fails raises InternalServerError, and is not asked for again",
              error.status_code == 500 and retries.waits == [] and len(server.get("/tasks")["tasks"]) == runs + 2, error)
        error = refused(openai.APIError, lambda: list(create("This fails, too.", stream=True)))
        holds("and in a stream an APIError with the reason", error.code == "run_failed" and "not this one" in error.message,
              error)

        async def leave():
            """One that reads a stream is cancelled, as a web framework does when its own client is gone."""
            async with client_of(server, openai.AsyncOpenAI) as client:
                heard = asyncio.Future()

                async def read():
                    async for chunk in await client.chat.completions.create(
                            model="oneloop", messages=asked("Tell me of the pear tree."), stream=True):
                        if chunk.choices[0].delta.content and not heard.done():
                            heard.set_result(chunk.id.removeprefix("chatcmpl-"))

                reading = asyncio.create_task(read())
                run = await heard
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                return run

        run = asyncio.run(leave())
        holds("a task of asyncio that is cancelled takes its run with it",
              until(lambda: status_of(server, run) == "cancelled", 5), status_of(server, run))
        impatient = client.with_options(timeout=0.5, max_retries=0)
        refused(openai.APITimeoutError, lambda: impatient.chat.completions.create(
            model="oneloop", messages=asked("Tell me of July.")))
        run = server.get("/tasks")["tasks"][0]["task_id"]
        holds("so does a client that has waited long enough", until(lambda: status_of(server, run) == "cancelled", 5),
              status_of(server, run))
        go_on.set()


def retries():
    go_on, begun = threading.Event(), threading.Event()

    def script(request, reply):
        begun.set()
        go_on.wait(PATIENCE)
        reply.answer(SAID)

    with ScriptedModel(script) as model, Oneloop("openai-full", NOTES, *by(model, "--runs-max", "1",
                                                                         "--waiting-max", "1")) as server, \
            client_of(server) as client:
        holders = [server.begin("Tell me slowly of bees."), server.begin("And of their honey.")]
        begun.wait(PATIENCE)
        error = refused(openai.InternalServerError, lambda: client.with_options(max_retries=0).chat.completions.create(
            model="oneloop", messages=asked(QUESTION)))
        holds("a server that is full is 503 with Retry-After", error.status_code == 503 and error.code == "overloaded"
              and error.response.headers["retry-after"] == "1", error)
        with Retries(then=go_on.set) as retries:
            answer = client.chat.completions.with_raw_response.create(model="oneloop", messages=asked(QUESTION))
        holds("the library waits as long as it is told to, tries again and has its answer",
              retries.waits[0] == 1.0 and answer.retries_taken == len(retries.waits)
              and answer.parse().choices[0].message.content == SAID, (retries.waits, answer.retries_taken))
        holds("and who came first is answered, too", all(server.ended(run)["status"] == "completed" for run in holders))


def vector(text):
    """Some direction, of which every bit counts."""
    return [math.sin(len(text)), math.cos(len(text)), 1 / 3]


def embeddings():
    slow, go_on = threading.Event(), threading.Event()
    batches = []

    def script(request, reply):
        texts = request.body["input"]
        batches.append(len(texts))
        if "slowly" in texts:
            slow.set()
            go_on.wait(PATIENCE)
        if "never" in texts:
            return reply.refuse(400, "this text is too long")
        data = [{"index": index, "embedding": base64.b64encode(struct.pack("<3f", *vector(text))).decode()}
                for index, text in enumerate(texts)]
        reply.whole({"object": "list", "data": data, "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}})

    with ScriptedModel(script) as model, Oneloop("openai-embeddings", NOTES, "--embed-url", model.url(), "--embed-model",
                                                 "small") as server, client_of(server) as client:
        until(lambda: server.get("/config/embeddings")["state"] == "ready")
        exactly = [list(struct.unpack("<3f", struct.pack("<3f", *vector(text)))) for text in ["tea", "milk"]]
        holds("the embedding model is among the models", "small" in [model.id for model in client.models.list()])
        usual = client.embeddings.create(model="small", input=["tea", "milk"])
        holds("texts are embedded, to the last bit, in their order",
              [list(item.embedding) for item in usual.data] == exactly and [item.index for item in usual.data] == [0, 1], usual)
        holds("with the tokens that the embedding server has counted", usual.usage.total_tokens == 2, usual.usage)
        numbers = client.embeddings.create(model="small", input="tea", encoding_format="float", dimensions=3, user="me")
        close = [abs(one - other) < 1e-6 for one, other in zip(numbers.data[0].embedding, exactly[0], strict=True)]
        holds("as numbers it is the same", all(close) and isinstance(numbers.data[0].embedding[0], float), numbers)
        text = client.embeddings.create(model="small", input="tea", encoding_format="base64").data[0].embedding
        holds("and as base64", list(struct.unpack("<3f", base64.b64decode(text))) == exactly[0], text)
        batches.clear()
        many = [f"text {'x' * number}" for number in range(100)]
        found = client.embeddings.create(model="small", input=many)
        holds("many texts are asked for some at a time", batches == [32, 32, 32, 4], batches)
        holds("and each has its own vector", all(
            abs(item.embedding[0] - vector(text)[0]) < 1e-6 for item, text in zip(found.data, many, strict=True)))
        for what, fields, place in [
            ("another dimension", {"dimensions": 2}, "dimensions"),
            ("tokens", {"input": [[1, 2, 3]]}, "input[0]"),
            ("nothing", {"input": []}, "input"),
            ("too many texts", {"input": ["a"] * 257}, "input"),
            ("what the embedding server does not take", {"input": "never"}, "input"),
        ]:
            error = refused(openai.BadRequestError, lambda fields=fields: client.embeddings.create(
                **({"model": "small", "input": "tea"} | fields)))
            holds(f"embedding {what} raises BadRequestError", error.param == place, error)
        error = refused(openai.NotFoundError, lambda: client.embeddings.create(model="oneloop", input="tea"))
        holds("what answers does not embed: NotFoundError", error.code == "model_not_found", error)
        impatient = client.with_options(timeout=0.5, max_retries=0)
        refused(openai.APITimeoutError, lambda: impatient.embeddings.create(model="small", input="slowly"))
        holds("one that is not waited for leaves nothing behind",
              slow.is_set() and until(lambda: server.get("/info")["connections"]["open"] <= 2, 5), server.get("/info"))
        go_on.set()
        holds("and the next is served", len(client.embeddings.create(model="small", input="tea").data) == 1)
    nobody = f"http://127.0.0.1:{unused_port()}/v1"
    with Oneloop("openai-alone", NOTES, "--embed-url", nobody, "--embed-model", "small") as server, \
            client_of(server, max_retries=0) as client:
        error = refused(openai.InternalServerError, lambda: client.embeddings.create(model="small", input="tea"))
        holds("without its embedding server it is 503 with Retry-After", error.status_code == 503
              and int(error.response.headers["retry-after"]) > 0 and "the embedding server" in error.message, error)


def main():
    end_within(240)
    answers()
    errors()
    streams()
    cancels()
    retries()
    embeddings()


if __name__ == "__main__":
    main()
