"""A model's server that says what a test wants it to, byte for byte: for what no real one does when asked to.

It speaks HTTP/1.1 and the streams of OpenAI's chat completions, over TLS if it is given a context, and keeps what it
was asked. Each request is answered by `script(request, reply)` in a thread of its own.
"""

import http.server
import json
import threading

# A script that waits for its test waits no longer than this, in seconds.
PATIENCE = 30


class Request:
    """What was asked."""

    def __init__(self, handler):
        self.method = handler.command
        self.target = handler.path
        self.headers = handler.headers
        self.body = json.loads(handler.rfile.read(int(handler.headers.get("Content-Length", 0))) or "{}")

    @property
    def messages(self):
        return self.body["messages"]

    @property
    def results(self):
        """What tools have brought, oldest first."""
        return [message["content"] for message in self.messages if message["role"] == "tool"]


class Reply:
    """The answer to one request, told piece by piece."""

    def __init__(self, handler):
        self.handler = handler
        self.is_begun = False

    def tokens(self, *texts):
        """Says them, each in an event of its own."""
        for text in texts:
            self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})

    def calls(self, name, **arguments):
        """Calls a tool, and ends."""
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": f"call-of-{name}", "type": "function", "function": function}
        self.event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
        self.end("tool_calls")

    def answer(self, text):
        """Says all of it, word by word, and ends."""
        self.tokens(*(f"{word} " for word in text.split(" ")[:-1]), text.split(" ")[-1])
        self.end()

    def end(self, finish="stop"):
        """Says why it ends, what it has used, and that this was all."""
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def whole(self, answer):
        """Answers in one piece, as servers do that do not stream."""
        self._json(200, answer)

    def refuse(self, status, message, **fields):
        """Answers with an error as OpenAI words it. In `fields` an underscore stands for a hyphen."""
        self._json(status, {"error": {"message": message, "type": "scripted"}}, **fields)

    def _json(self, status, value, **fields):
        body = json.dumps(value).encode()
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def event(self, event):
        """Says this, whatever it is."""
        if not self.is_begun:
            self.is_begun = True
            self.handler.send_response(200)
            self.handler.send_header("Content-Type", "text/event-stream")
            self.handler.send_header("Transfer-Encoding", "chunked")
            self.handler.end_headers()
        self._chunk(f"data: {json.dumps(event)}\n\n".encode())

    def _chunk(self, data):
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = Request(self)
        self.server.requests.append(request)
        try:
            self.server.script(request, Reply(self))
        except OSError:
            # Whoever asked is gone, which is a part of some tests.
            self.close_connection = True

    def log_message(self, *_):
        pass


class ScriptedModel(http.server.ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1 from when it is made until it is closed."""

    daemon_threads = True

    def __init__(self, script, tls=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests = []
        self.port = self.server_address[1]
        if tls is not None:
            # Handshakes are made by the threads that answer: one that hangs keeps nobody waiting.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, host="127.0.0.1"):
        return f"http://{host}:{self.port}/v1"

    def handle_error(self, *_):
        """A client that breaks off a handshake or a connection is told by what the test sees of it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
