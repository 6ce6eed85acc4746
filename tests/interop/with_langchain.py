"""What LangChain makes of /v1: a chat, a stream and embeddings. Called by `run`, which has set the addresses."""

import pathlib

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import claims
from scripted_model import ScriptedModel
from servers import Oneloop, end_within

NOTES = pathlib.Path(__file__).parent / "garden"

holds = claims.by("langchain")


def script(request, reply):
    data = [{"index": index, "embedding": [len(text), 1]} for index, text in enumerate(request.body["input"])]
    reply.whole({"object": "list", "data": data})


end_within(120)
with ScriptedModel(script) as model, Oneloop("langchain", NOTES, "--embed-url", model.url(), "--embed-model",
                                             "small") as server:
    where = {"base_url": f"{server.url}/v1", "api_key": "none"}
    chat = ChatOpenAI(model="oneloop", **where)
    answer = chat.invoke([("system", "Be brief."), ("human", "How are tomatoes watered?")])
    holds("a chat is answered", "never on the leaves" in answer.content, answer)
    holds("with the reason why it has ended", answer.response_metadata["finish_reason"] == "stop", answer.response_metadata)
    chunks = list(chat.stream("When is the compost turned?"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    holds("a stream is put together", "every third week" in whole.content
          and whole.response_metadata["finish_reason"] == "stop", whole)
    # It would send tokens, which another model would read otherwise.
    embeddings = OpenAIEmbeddings(model="small", check_embedding_ctx_length=False, chunk_size=256, **where)
    vectors = embeddings.embed_documents([f"text {'x' * number}" for number in range(300)])
    holds("texts are embedded", len(vectors) == 300 and vectors[7] == [12, 1], vectors[:8])
