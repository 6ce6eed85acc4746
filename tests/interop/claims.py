"""Claims, one line each, and what they are told of: the events of a stream.

Waiting is asking again: each look is a request that blocks until it is answered, and `until` ends after a time.
"""

import functools
import json
import sys
import time


def by(client):
    """What `client` claims with: `holds(claim, condition, seen)`."""
    return functools.partial(_holds, client)


def _holds(client, claim, condition, seen=None):
    """Tells that the condition holds, or ends with what was seen."""
    if not condition:
        print(f"FAILED {client}: {claim}")
        print(f"seen: {seen!r}", flush=True)
        sys.exit(1)
    print(f"ok {client}: {claim}", flush=True)


def until(asks, seconds=30):
    """Asks until there is an answer; `None` when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := asks():
            return answer
    return None


def events_of(response):
    """The events of a stream as (id, data), read line by line as they come."""
    return events_in(response.iter_lines())


def events_in(lines):
    """The events that stand in these lines, as (id, data)."""
    identity, data = None, []
    for line in lines:
        if line.startswith("id: "):
            identity = line[4:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif line == "" and data:
            yield identity, json.loads("\n".join(data))
            identity, data = None, []


class Reader:
    """What a reader makes of a run's events, in the order in which they came."""

    def __init__(self):
        self.numbered = []

    def receive(self, identity, event):
        """Takes the next one. Those without a number tell of the run or the server, and are no part of it."""
        if identity is None:
            return
        number = int(identity.rpartition("-")[2])
        if event["type"] == "restart":
            self.numbered = [kept for kept in self.numbered if kept[0] <= event["keep"]]
        self.numbered.append((number, event))

    def read(self, response):
        """Takes all that a stream has, and itself as the answer."""
        for identity, event in events_of(response):
            self.receive(identity, event)
        return self

    @property
    def events(self):
        """Those that stand."""
        return [event for _, event in self.numbered]

    @property
    def kinds(self):
        """Their types, without repetitions in a row."""
        kinds = [event["type"] for event in self.events]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]

    def text(self):
        """The answer as it was told: a revision has made void what stood before it."""
        text = ""
        for event in self.events:
            if event["type"] == "revision":
                text = ""
            elif event["type"] == "token":
                text += event["text"]
        return text

    def all(self, kind):
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]

    def response(self):
        """The whole answer; `None` if the run has none."""
        complete = self.all("complete")
        return complete[0]["response"] if len(complete) == 1 else None
