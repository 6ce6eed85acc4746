"""Processes that tests start and end by themselves: servers of ours, and a model's.

Every one of them is ended with this process, and what it logs stands in ONELOOP_WORK, where `run` shows it.
"""

import atexit
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import traceback

import httpx

from claims import until

BINARY = os.environ["ONELOOP_BINARY"]
WORK = pathlib.Path(os.environ["ONELOOP_WORK"])
HERE = pathlib.Path(__file__).parent

# What this machine has set for its own programs is not what is tested.
NOT_PASSED_ON = {
    "OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
}


def environment(**added):
    """Ours, without what would change how a model is reached, and with what is added."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in NOT_PASSED_ON}
    return kept | added


class Process:
    """One that says `listening on ADDRESS` on its standard output once it listens."""

    def __init__(self, name, command, **added):
        self.log = WORK / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=environment(**added))
        atexit.register(self.kill)
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.url = line.removeprefix("listening on ").strip()
                return
        sys.exit(f"FAILED {name} does not start; it says:\n{self.log.read_text()[-4000:]}")

    def kill(self):
        """Ends it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def logged(self):
        """All that it has logged."""
        return self.log.read_text()


class Oneloop(Process):
    """A server of ours, which has read its notes. Without a `--state-dir` nothing of it is kept."""

    def __init__(self, name, notes, *arguments, listen="127.0.0.1:0", **added):
        keeps = [] if "--state-dir" in arguments else ["--state", "none"]
        super().__init__(name, [BINARY, "serve", notes, "--listen", listen, *keeps, *arguments], **added)
        self.client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)
        if not until(lambda: self.get("/health")["index"]["state"] == "ready"):
            sys.exit(f"FAILED {name} does not read its notes: {self.get('/health')}")

    def get(self, path):
        return self.client.get(path).json()

    def model(self):
        """What `/info` says of the model."""
        return self.get("/info")["model"]

    def chat(self, message, **fields):
        """An answer as `POST /chat` has it."""
        answer = self.client.post("/chat", json={"message": message, **fields})
        return answer.json() if answer.status_code == 200 else {"refused": answer.status_code, **answer.json()}

    def begin(self, message, **fields):
        """Begins a task; answers its id."""
        return self.client.post("/chat/async", json={"message": message, **fields}).json()["task_id"]

    def ended(self, task_id):
        """A task once it has ended, or `None`."""
        def look():
            task = self.client.get(f"/chat/task/{task_id}", params={"wait": 20}).json()
            return task if task["status"] in {"completed", "failed", "cancelled"} else None

        return until(look, 120)

    def stream(self, message, **fields):
        """A stream to be read."""
        return self.client.stream("POST", "/chat/stream", json={"message": message, **fields})


class ModelServer(Process):
    """llama.cpp's server; each of its two conversations has so many tokens."""

    def __init__(self, context_tokens, port=0):
        super().__init__("llama", [sys.executable, HERE / "model_server.py", str(port), str(context_tokens)])
        self.port = httpx.URL(self.url).port
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def busy(self):
        """Those of its conversations that are at work."""
        return [slot for slot in self.client.get("/slots").json() if slot["is_processing"]]

    def said(self):
        """Tokens that it has made since it was started; those of an answer count once that is over."""
        (line,) = (line for line in self.client.get("/metrics").text.splitlines()
                   if line.startswith("llamacpp:tokens_predicted_total "))
        return float(line.split()[1])


def end_within(seconds):
    """From here on this process ends after a time, and tells where it was then."""
    def too_late(*_):
        sys.exit(f"FAILED nothing more is heard after {seconds} s:\n{''.join(traceback.format_stack())}")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)


def ask(notes, question, *arguments, **added):
    """What `oneloop ask` makes of it: the answer, and all that it said about it."""
    completed = subprocess.run([BINARY, "ask", notes, question, "--json", *arguments], capture_output=True, text=True,
                               timeout=120, env=environment(**added))
    answer = json.loads(completed.stdout) if completed.returncode == 0 else {"failed": completed.returncode}
    return answer, completed.stderr


def unused_port():
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
