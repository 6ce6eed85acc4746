"""Whom a server of ours trusts with its questions, and whom it does not. Called by `run`, which has set the addresses.

The model's server is scripted and speaks real TLS; certificates are made here, by an authority that nobody knows.
"""

import datetime
import pathlib
import ssl

import trustme

import claims
from claims import Reader
from scripted_model import ScriptedModel
from scripted_proxy import ScriptedProxy
from servers import WORK, Oneloop, ask, end_within

NOTES = pathlib.Path(__file__).parent / "garden"
QUESTION = "How are tomatoes watered?"
ANSWER = "At the root [1]."

holds = claims.by("tls")
authority = trustme.CA()
AUTHORITY = WORK / "authority.pem"


def server_with(*names, by=authority, **how):
    """A model's server whose certificate is for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = how.pop("version", ssl.TLSVersion.TLSv1_3)
    context.num_tickets = how.pop("tickets", 2)
    by.issue_cert(*names, **how).configure_cert(context)
    return ScriptedModel(lambda request, reply: reply.answer(ANSWER), context)


def by(model, host, *arguments):
    """The flags with which a server of ours asks this one under this name."""
    return ["--model-url", f"https://{host}:{model.port}/v1", "--model", "scripted", *arguments]


def trusted():
    with server_with("127.0.0.1", "localhost") as model:
        with Oneloop("trusting", NOTES, *by(model, "127.0.0.1", "--model-ca", AUTHORITY)) as server:
            with server.stream(QUESTION) as response:
                reader = Reader().read(response)
            answer = reader.response()
            holds("a server with a certificate of --model-ca's for its address is asked",
                  answer["answered_by"] == "model" and reader.text() == ANSWER, reader.events)
            server.chat("Where do the hives stand?")
            holds("and its connection kept for the next question",
                  server.model()["connections_reused"] == 1, server.model())
        answer, _ = ask(NOTES, QUESTION, *by(model, "localhost", "--model-ca", AUTHORITY))
        holds("one for its name is good as well", answer["answered_by"] == "model", answer)
    # In neither does the server say anything between the handshake and its answer.
    for claim, how in [
        ("a server that speaks TLS 1.2 at most is asked", {"version": ssl.TLSVersion.TLSv1_2}),
        ("and so is one that gives no ticket for a next time", {"tickets": 0}),
    ]:
        with server_with("localhost", **how) as model:
            answer, _ = ask(NOTES, QUESTION, *by(model, "localhost", "--model-ca", AUTHORITY))
            holds(claim, answer["answered_by"] == "model", answer)


def distrusted(claim, model, words, *arguments, host="localhost"):
    """The notes answer, because of what `words` say; the model's server has not been asked a thing."""
    with model:
        answer, said = ask(NOTES, QUESTION, *by(model, host, *arguments))
        holds(claim, answer["answered_by"] == "notes" and not model.requests, (answer, said))
        (why,) = answer["degraded"]
        holds(f"and the answer says why: … {words} …", words in why, (answer["degraded"], said))


def proxied():
    with server_with("model.example") as model, ScriptedProxy(model.port) as proxy:
        url = "https://model.example/v1"
        arguments = ["--model-url", url, "--model", "scripted", "--model-ca", AUTHORITY]
        answer, said = ask(NOTES, QUESTION, *arguments, HTTPS_PROXY=proxy.address)
        heads = [head[0] for head in proxy.heads]
        holds("with HTTPS_PROXY a tunnel is asked for", heads == ["CONNECT model.example:443 HTTP/1.1"], heads)
        holds("through which the model answers", answer["answered_by"] == "model", (answer, said))
        secret = [line for head in proxy.heads for line in head if "tomatoes" in line or "Authorization" in line]
        holds("the proxy sees nothing of the question", not secret, proxy.heads)
    with server_with("other.example") as model, ScriptedProxy(model.port) as proxy:
        answer, said = ask(NOTES, QUESTION, *arguments, HTTPS_PROXY=proxy.address)
        holds("a tunnel to somebody else is not trusted",
              answer["answered_by"] == "notes" and not model.requests and "can't be trusted" in answer["degraded"][0],
              (answer, said))


if __name__ == "__main__":
    end_within(120)
    authority.cert_pem.write_to_path(AUTHORITY)
    trusted()
    known = ("--model-ca", AUTHORITY)
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    expired = {"not_before": yesterday - datetime.timedelta(days=1), "not_after": yesterday}
    distrusted("a certificate for another name is not trusted", server_with("other.example"),
               "not for localhost but for other.example", *known)
    distrusted("nor one for a name, at an address", server_with("localhost"),
               "not for 127.0.0.1 but for localhost", *known, host="127.0.0.1")
    distrusted("nor one that has expired", server_with("localhost", **expired), "has expired on", *known)
    distrusted("nor one of an authority that --model-ca does not name", server_with("localhost", by=trustme.CA()),
               "comes from nobody whom this system trusts", *known)
    distrusted("nor, without --model-ca, one that only a private authority has signed", server_with("localhost"),
               "name the file of its authority with --model-ca")
    plain = ScriptedModel(lambda request, reply: reply.answer(ANSWER))
    distrusted("a server that speaks plain HTTP is not asked over https", plain,
               "perhaps it speaks plain http://", *known)
    proxied()
