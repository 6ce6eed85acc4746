"""Schemathesis (schemathesis.io) asks whatever /openapi.json says can be asked, and much that it says can't.

It makes up requests that the document allows and others that it does not, sends them to a server of its own over a copy
of a few notes, and holds each answer against the document: its status, its type, its fields, and whether what is allowed
is taken and what is not is refused. The seed is fixed, so the same versions ask the same.
"""

import json
import re
import shutil
import subprocess
import sys

import httpx

from claims import by
from scripted_model import ScriptedModel
from servers import HERE, WORK, Oneloop, environment

holds = by("schemathesis")

# Requests that are made up for each operation and phase at most: less than a minute for all of them together.
EXAMPLES = 25
SEED = 20240229
# A run that takes so long waits for an answer that does not come.
SECONDS_MAX = 240

PHASES = ["Examples", "Coverage", "Fuzzing", "Stateful"]
# What clients send may have fields that the server does not know, and it passes them over.
OPEN = {
    "ChatRequest", "Turn", "VerifyRequest", "SourceToVerify", "CompletionRequest", "EmbeddingsRequest", "ServerSentEvent",
    "CompletionEvent", "McpMessage",
}


def closed(document):
    """The document, with every answer having the fields that it is said to have and no others."""
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema and name not in OPEN:
            schema["additionalProperties"] = False
    return document


def run(location, url):
    """Runs it to its end; answers its exit code, or none if there is no end, and what it has printed."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run", location, "--url", url,
        "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES, "--seed", SEED,
        "--generation-database", "none", "--continue-on-failure", "--no-color", "--request-timeout", 20,
    ]
    try:
        ended = subprocess.run([str(word) for word in command], cwd=WORK, env=environment(), timeout=SECONDS_MAX,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired as timeout:
        return None, f"no end after {timeout.timeout} s: {timeout.output}"
    return ended.returncode, ended.stdout


def embed(request, reply):
    """Every text points the same way."""
    reply.whole({"data": [{"embedding": [0.6, 0.8]} for _ in request.body["input"]]})


notes = WORK / "described"
shutil.copytree(HERE / "garden", notes / "garden")

with ScriptedModel(embed) as embeddings, Oneloop("described", str(notes), "--embed-url", embeddings.url(), "--embed-model",
                                                 "all-minilm") as server:
    answer = httpx.get(f"{server.url}/openapi.json", trust_env=False)
    holds("/openapi.json is OpenAPI 3.1 as JSON", answer.headers["content-type"] == "application/json"
          and answer.json()["openapi"].startswith("3.1."), answer.headers)

    document = closed(answer.json())
    # Behind its handshake a connection is no HTTP any more, which nobody knows who asks by a document of HTTP.
    del document["paths"]["/ws"]
    operations = sum(method != "parameters" for path in document["paths"].values() for method in path)
    location = WORK / "openapi.json"
    location.write_text(json.dumps(document))
    code, printed = run(location, server.url)
    if code != 0:
        print(printed)

    tested = re.search(r"Tested: +(\d+)", printed)
    holds(f"all {operations} operations are asked", tested is not None and int(tested[1]) == operations, tested)
    holds("whatever is asked, the answer is one that the document tells of", code == 0, printed[-2000:])
    ended = [phase for phase in PHASES if f"✅ {phase}" in printed]
    holds("made-up requests, bounds, examples and sequences all hold", ended == PHASES, ended)
    generated = re.search(r"(\d+) generated", printed)
    holds("there were a thousand requests and more", generated is not None and int(generated[1]) >= 1000, generated)

    health = server.get("/health")
    info = server.get("/info")
    holds("the server does well afterwards, with no run left behind", health["status"] == "healthy"
          and info["runs"]["pending"] == 0 and info["runs"]["running"] == 0, info)
    page = httpx.get(f"{server.url}/docs", trust_env=False)
    holds("/docs is a page that may load nothing but the document", page.status_code == 200
          and page.headers["content-type"] == "text/html; charset=utf-8"
          and page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-"),
          page.headers)
    holds("nothing went wrong in the server", "ERROR" not in server.logged(), server.logged()[-2000:])
