"""Callbacks, received by a web server that believes only what the Standard Webhooks library has verified.

Called by `run`. Each part has a receiver and a server of its own.
"""

import base64
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading

import trustme
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

import claims
from claims import until
from servers import BINARY, Oneloop, end_within, environment

holds = claims.by("callbacks")
SECRET = "whsec_" + base64.b64encode(os.urandom(32)).decode()
QUESTION = "How many degrees does green tea want?"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A server that is killed resets its connections: that is no news."""


class Receiver:
    """A web server that takes callbacks. It answers with the statuses that it was given, one after the other, then 200."""

    def __init__(self, *statuses, secret=SECRET, tls=None):
        self.statuses, self.received, self.elsewhere = list(statuses), [], []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                if self.path == "/elsewhere":
                    receiver.elsewhere.append(body)
                    return self.answer(200)
                try:
                    Webhook(secret).verify(body, headers)
                    verified = True
                except WebhookVerificationError as error:
                    verified = str(error)
                receiver.received.append((self.path, headers, body, verified))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                return None if status is None else self.answer(status)

            def answer(self, status):
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", f"{receiver.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http{'s' if tls else ''}://{self.host}"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def has(self, count):
        return until(lambda: len(self.received) >= count, 60)


def notes():
    path = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-callbacks-"))
    (path / "tea.md").write_text("# Tea\n\nGreen tea wants 80 degrees.\n")
    return path


def secret_file(secret=SECRET):
    path = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-secret-")) / "secret"
    path.write_text(secret + "\n")
    return path


def serving(name, *receivers, state=None, secret=SECRET):
    allow = [part for receiver in receivers for part in ("--callback-allow", receiver.host)]
    keeps = ["--state-dir", state] if state else []
    return Oneloop(name, notes(), *allow, "--callback-secret-file", secret_file(secret), *keeps)


def shown(server, task_id):
    return server.get(f"/chat/task/{task_id}")["callback"]


def settled(server, task_id):
    def look():
        callback = shown(server, task_id)
        return callback if callback["state"] != "pending" else None

    return until(look, 60)


def delivery():
    receiver = Receiver()
    with serving("callbacks", receiver) as server:
        url = f"{receiver.url}/hooks/?for=tea"
        task_id = server.begin(QUESTION, callback_url=url)
        holds("the end of a task is sent to its callback_url", receiver.has(1))
        path, headers, body, verified = receiver.received[0]
        holds("the library finds its signature good", verified is True, verified)
        holds("the address is asked for as it was written", path == "/hooks/?for=tea", path)
        holds("webhook-id is the task's", headers["webhook-id"] == task_id, headers)
        holds("it is JSON", headers["content-type"] == "application/json", headers)
        callback = settled(server, task_id)
        holds("the task shows that it is delivered", callback == {
            "url": url, "state": "delivered", "attempts": 1, "last_error": None,
        }, callback)
        task = server.get(f"/chat/task/{task_id}")
        del task["callback"]
        holds("what was sent is what the task shows", json.loads(body) == task, (body, task))
        figures = server.get("/info")["callbacks"]
        holds("/info counts it", figures == {
            "outstanding": 0, "under_way": 0, "delivered": 1, "retried": 0, "given_up": 0,
        }, figures)
        cancelled = server.begin(QUESTION, callback_url=url)
        server.client.delete(f"/tasks/{cancelled}")
        holds("one that is cancelled, or was too quick for that, is told as well", receiver.has(2))


def over_tls():
    authority, stranger = trustme.CA(), trustme.CA()
    trusted = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-authority-")) / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    receivers = []
    for issuer in (authority, stranger):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert("127.0.0.1").configure_cert(tls)
        receivers.append(Receiver(tls=tls))
    allowed = ",".join(receiver.host for receiver in receivers)
    with Oneloop("callbacks over TLS", notes(), "--callback-allow", allowed, "--callback-ca", trusted,
                 CALLBACK_SECRET=SECRET) as server:
        server.begin(QUESTION, callback_url=receivers[0].url)
        holds("a receiver over https is told as well", receivers[0].has(1) and receivers[0].received[0][3] is True)
        task_id = server.begin(QUESTION, callback_url=receivers[1].url)
        callback = until(lambda: shown(server, task_id)["last_error"])
        holds("but not one whose certificate is not trusted", "can't be trusted" in callback and
              receivers[1].received == [], (callback, receivers[1].received))


def raw_secret():
    secret = "not base64, but long enough!"
    receiver = Receiver(secret=secret.encode())
    with serving("raw", receiver, secret=secret) as server:
        server.begin(QUESTION, callback_url=receiver.url)
        holds("a secret without whsec_ is its bytes", receiver.has(1) and receiver.received[0][3] is True,
              receiver.received)


def retries():
    receiver = Receiver(500, 429)
    with serving("retries", receiver) as server:
        task_id = server.begin(QUESTION, callback_url=receiver.url)
        holds("after 500 and 429 it is tried again", receiver.has(3), receiver.received)
        ids = {headers["webhook-id"] for _, headers, _, _ in receiver.received}
        bodies = {body for _, _, body, _ in receiver.received}
        holds("under the same id, and in the same words", len(ids) == len(bodies) == 1, (ids, bodies))
        holds("each try has a good signature", all(verified is True for *_, verified in receiver.received))
        callback = settled(server, task_id)
        holds("the tries are counted", (callback["state"], callback["attempts"], callback["last_error"]) ==
              ("delivered", 3, "answered 429"), callback)


def given_up():
    receiver = Receiver(307, 410, 404)
    with serving("given up", receiver) as server:
        for status in (307, 410, 404):
            task_id = server.begin(QUESTION, callback_url=receiver.url)
            callback = settled(server, task_id)
            holds(f"after {status} it is given up at once", (callback["state"], callback["attempts"]) ==
                  ("given_up", 1), callback)
        holds("a redirect is not followed", receiver.elsewhere == [], receiver.elsewhere)
        logged = server.logged().count("is given up after 1 of 8 tries")
        holds("the log tells of each", logged == 3, server.logged())


def killed():
    receiver = Receiver(None, 503)
    state = tempfile.mkdtemp(prefix="oneloop-callbacks-state-")
    server = serving("killed", receiver, state=state)
    task_id = server.begin(QUESTION, callback_url=receiver.url)
    holds("the first try comes before the kill", receiver.has(1))
    server.kill()
    with serving("restarted", receiver, state=state) as server:
        holds("a process that is killed is followed by one that goes on", receiver.has(2))
        until(lambda: shown(server, task_id)["attempts"] >= 1)
    with serving("restarted again", receiver, state=state) as server:
        holds("and by one more after a try that failed", receiver.has(3))
        callback = settled(server, task_id)
        holds("what was tried before counts", callback["state"] == "delivered" and callback["attempts"] >= 2, callback)
        bodies = {body for _, _, body, _ in receiver.received}
        holds("each has told the same", len(bodies) == 1 and all(it[3] is True for it in receiver.received), bodies)
    with serving("restarted for nothing", receiver, state=state) as server:
        server.ended(server.begin(QUESTION, callback_url=receiver.url))
        holds("what was delivered is not sent again", receiver.has(4) and len({
            headers["webhook-id"] for _, headers, _, _ in receiver.received}) == 2, receiver.received)


def apart():
    """One receiver never answers; the other must not wait for it."""
    silent, well = Receiver(*[None] * 50), Receiver()
    with serving("apart", silent, well) as server:
        for _ in range(20):
            server.begin(QUESTION, callback_url=silent.url)
        holds("a receiver that says nothing is asked", silent.has(1))
        for _ in range(20):
            server.begin(QUESTION, callback_url=well.url)
        holds("and another has all of its callbacks meanwhile", well.has(20), len(well.received))


def refusals():
    receiver = Receiver()
    with serving("refusals", receiver) as server:
        def refused(path, url):
            answer = server.client.post(path, json={"message": QUESTION, "callback_url": url})
            detail = answer.json()["detail"]
            return answer.status_code == 422 and detail[0]["loc"] == ["body", "callback_url"] and detail[0]["msg"]

        for url in ("http://127.0.0.1:1/", "http://localhost/", "http://169.254.169.254/latest/meta-data/",
                    f"http://{receiver.host}@evil.example/", f"http://evil.example#@{receiver.host}/",
                    f"http://evil.example\\@{receiver.host}/", "file:///etc/passwd", "hooks.example/x"):
            holds(f"{url} is refused", refused("/chat/async", url))
        for path in ("/chat", "/chat/stream"):
            holds(f"callback_url is refused on {path}", "/chat/async" in refused(path, receiver.url))
        holds("nobody was called", receiver.received == [], receiver.received)
    with Oneloop("none allowed", notes()) as server:
        answer = server.client.post("/chat/async", json={"message": QUESTION, "callback_url": receiver.url})
        holds("without --callback-allow the refusal names it", answer.status_code == 422 and
              "--callback-allow" in answer.text, answer.text)
        holds("null is none", server.ended(server.begin(QUESTION, callback_url=None))["status"] == "completed")


def starts():
    def said(*arguments, **added):
        done = subprocess.run([BINARY, "serve", notes(), "--state", "none", *arguments], capture_output=True, text=True,
                              timeout=60, env=environment(**added))
        return done.returncode, done.stderr

    code, words = said("--callback-allow", "hooks.example")
    holds("without a secret it does not start, and says how to make one", code == 2 and "openssl rand" in words, words)
    code, words = said("--callback-allow", "hooks.example", CALLBACK_SECRET="short")
    holds("nor with one that is too short", code == 2 and "5 bytes" in words and "short" not in words.split("CALLBACK_SECRET")[0], words)
    code, words = said("--callback-allow", "*.example", CALLBACK_SECRET=SECRET)
    holds("a wildcard is refused", code == 2 and "wildcard" in words, words)
    code, words = said("--callback-secret-file", secret_file())
    holds("a secret for nobody is a mistake", code == 2, words)
    holds("no secret is in what it says", SECRET not in words, words)


end_within(600)
delivery()
over_tls()
raw_secret()
retries()
given_up()
killed()
apart()
refusals()
starts()
