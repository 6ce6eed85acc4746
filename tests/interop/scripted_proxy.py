"""A forward proxy that notes what it is asked for, and takes everything to one place wherever it was to go.

So names that stand for nothing can be asked for, and none is looked up.
"""

import select
import socket
import socketserver
import threading

HEAD_BYTES_MAX = 64 * 1024
SILENCE_MAX = 30


class _Handler(socketserver.StreamRequestHandler):
    # Read byte by byte: nothing of what follows the head is taken with it.
    rbufsize = 0

    def handle(self):
        head = []
        while (line := self.rfile.readline(HEAD_BYTES_MAX)) not in (b"\r\n", b""):
            head.append(line)
        if not head:
            return
        self.server.heads.append([line.decode("latin-1").rstrip() for line in head])
        if self.server.target_port is None:
            # All of it is read: a socket that is closed with something unread is reset, and its answer may be lost.
            lengths = [line.split(b":")[1] for line in head if line.lower().startswith(b"content-length:")]
            left = sum(map(int, lengths))
            while left > 0 and (data := self.rfile.read(left)):
                left -= len(data)
            self.connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, version = head[0].split()
        with socket.create_connection(("127.0.0.1", self.server.target_port), timeout=SILENCE_MAX) as other:
            if method == b"CONNECT":
                self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                # From the absolute form to the origin's: http://host/path is /path there (RFC 9112 section 3.2.1).
                path = b"/" + target.split(b"/", 3)[3]
                first = b" ".join([method, path, version]) + b"\r\n"
                own = (b"proxy-", b"connection:")
                others = [line for line in head[1:] if not line.lower().startswith(own)]
                other.sendall(b"".join([first, *others, b"Connection: close\r\n", b"\r\n"]))
            self.pass_on(other)

    def pass_on(self, other):
        ends = {self.connection: other, other: self.connection}
        while True:
            readable, _, _ = select.select(list(ends), [], [], SILENCE_MAX)
            for end in readable:
                data = end.recv(1 << 16)
                if not data:
                    return
                ends[end].sendall(data)
            if not readable:
                return


class ScriptedProxy(socketserver.ThreadingTCPServer):
    """Listens on a free port of 127.0.0.1; everything goes to `target_port` there. Without one, nothing does."""

    daemon_threads = True

    def __init__(self, target_port=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_port = target_port
        self.heads = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Who breaks off is told by what the test sees of it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
