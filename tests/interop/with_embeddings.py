"""What comes of a true embedding model behind the server: all-MiniLM-L6-v2. Called by `run`, which has set the addresses."""

import sys
import time

import httpx

import claims
from claims import until
from servers import HERE, WORK, Oneloop, Process, end_within

NOTES = HERE / "garden"
# Shares no word with the note that answers it.
QUESTION = "Where do the insects that make something sweet live?"

holds = claims.by("embeddings")


class EmbeddingServer(Process):
    """all-MiniLM-L6-v2 behind /v1/embeddings."""

    def __init__(self, port=0):
        super().__init__("embeddings", [sys.executable, HERE / "embedding_server.py", str(port)])
        self.port = httpx.URL(self.url).port

    def texts(self):
        """How many texts it was asked for."""
        return httpx.get(self.url, timeout=60, trust_env=False).json()["texts"]


def by(server):
    """The flags with which a server of ours asks this one. Its first answers on a busy machine may take their time."""
    return ["--embed-url", f"{server.url}/v1", "--embed-model", "all-MiniLM-L6-v2", "--embed-timeout", "20000"]


def ready(oneloop):
    """What is told of the embeddings once all passages have one."""
    def look():
        told = oneloop.get("/config/embeddings")
        return told if told["state"] == "ready" else None

    return until(look, 60)


def main():
    end_within(300)
    state = WORK / "embedded.state"
    with EmbeddingServer() as embeddings:
        with Oneloop("embedded", NOTES, "--state-dir", state, *by(embeddings)) as oneloop:
            told = ready(oneloop)
            holds("every passage of the notes gets a vector", told and told["coverage"] == 1.0, told)
            holds("of the dimension that the model has", told["dimension"] == 384, told)
            holds("and it is told by which model", told["model"] == "all-MiniLM-L6-v2", told)
            answer = oneloop.chat(QUESTION)
            found = [source["path"] for source in answer["sources"]]
            holds("a question finds a note that shares no word with it", found[:1] == ["bees.md"], answer)
            holds("and nothing is degraded", answer["degraded"] == [], answer)
            far = oneloop.chat("Which team won the world cup of football?")
            holds("a question about something else is refused", far["sources"] == [], far)
            asked = embeddings.texts()
            oneloop.chat(QUESTION)
            holds("the same question is not embedded again", embeddings.texts() == asked, embeddings.texts())
            kept = until(lambda: oneloop.get("/info")["embeddings"]["embedded"] >= told["passages"])
            holds("the passages were embedded by the server", kept, oneloop.get("/info")["embeddings"])
            oneloop.process.terminate()
            oneloop.process.wait(timeout=30)
        with Oneloop("embedded", NOTES, "--state-dir", state, *by(embeddings)) as oneloop:
            told = ready(oneloop)
            holds("a restart asks for no passage again", embeddings.texts() == asked, (told, embeddings.texts()))
            holds("because their vectors were kept", oneloop.get("/info")["embeddings"]["kept"] == told["passages"],
                  oneloop.get("/info")["embeddings"])
            port = embeddings.port
            embeddings.kill()
            began = time.monotonic()
            answer = oneloop.chat("Where does the key of the shed hang?")
            holds("without its server a question is answered by its words", "behind the blue door" in answer["response"],
                  answer)
            holds("and says so", answer["degraded"] and "by words alone" in answer["degraded"][0], answer)
            holds("at once", time.monotonic() - began < 5, time.monotonic() - began)
            with EmbeddingServer(port):
                answer = until(lambda: (told := oneloop.chat("Where are the spades?"))["degraded"] == [] and told, 60)
                holds("and once it is back, by meaning again", answer and answer["sources"], answer)


if __name__ == "__main__":
    main()
