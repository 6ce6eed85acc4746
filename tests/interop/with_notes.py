"""The knowledge service, as httpx uses it: every route, writers who meet, tricks, kills, a full and a read-only disk.

Called by `run`. Each part has a server and a folder of its own.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

import httpx

import claims
from claims import until
from servers import Oneloop, end_within

holds = claims.by("notes")
NEW = {"If-None-Match": "*"}


def folder(**notes):
    """A new folder with these notes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-notes-"))
    for name, text in notes.items():
        (path / f"{name}.md").write_text(text)
    return path


def file(path):
    return f"/notes/file/{urllib.parse.quote(path)}"


def put(client, path, text, condition):
    return client.put(file(path), content=text.encode(), headers=condition)


def routes():
    notes = folder(tea="# Tea\n\nGreen tea wants 80 degrees. See [[Kettle]]. #hot\n")
    (notes / "tools").mkdir()
    (notes / "tools" / "pot.md").write_text("---\ncreated: 2024-05-01\ntags: [clay]\n---\n\n# Pot\n\nFor [[tea]].\n")
    with Oneloop("routes", notes) as server:
        client = server.client

        def told(path, /, **parameters):
            answer = client.get(path, params=parameters)
            holds(f"GET {path} {parameters or ''}".rstrip() + " is 200", answer.status_code == 200, answer.text)
            return answer.json()

        listed = told("/notes")
        paths = [note["path"] for note in listed["notes"]]
        holds("all notes are listed in order", paths == ["tea.md", "tools/pot.md"], listed)
        holds("with what is known of them", listed["notes"][1] | {"updated_at": ""} == {
            "title": "Pot", "path": "tools/pot.md", "category": "tools", "tags": ["clay"],
            "created_at": "2024-05-01", "updated_at": "",
        }, listed)
        first = told("/notes", limit=1)
        rest = told("/notes", limit=1, after=first["next"])
        holds("page by page", [first["notes"], rest["notes"]] == [[note] for note in listed["notes"]], (first, rest))
        holds("up to the last", rest["next"] is None, rest)
        pots = told("/notes/tools", content=True)["notes"]
        holds("a category has its notes, with their texts if asked", pots[0]["content"].endswith("[[tea]].\n"), pots)
        holds("the root's notes have the empty category", told("/notes", category="")["notes"][0]["path"] == "tea.md")
        holds("a tag has its notes", told("/notes", tag="HOT")["notes"][0]["path"] == "tea.md")
        structure = told("/notes/structure")["structure"]
        holds("the structure counts them", {name: part["count"] for name, part in structure.items()} ==
              {"": 1, "tools": 1}, structure)
        categories = told("/knowledge/categories")["categories"]
        holds("so do the categories", categories == [{"name": "", "count": 1}, {"name": "tools", "count": 1}], categories)
        found = told("/notes/search", query="green tea")["notes"]
        holds("a search finds a note once", [note["path"] for note in found][:1] == ["tea.md"], found)
        results = told("/knowledge/search", query="degrees green tea", limit=1)["results"]
        text = (notes / "tea.md").read_bytes()[results[0]["start"]:results[0]["end"]].decode()
        holds("a passage is where it says", results[0]["text"] == text, results)
        lines = told("/knowledge/search/content", query="GREEN")["results"]
        holds("grep tells the line", [(line["path"], line["line"]) for line in lines] == [("tea.md", 3)], lines)
        none = told("/knowledge/search/content", query="GREEN", case_sensitive=True)["results"]
        holds("and knows case if it is to", none == [], none)
        graph = told("/knowledge/graph")["graph"]
        edges = {(edge["source"], edge["target"]): edge["type"] for edge in graph["edges"]}
        holds("the graph has every kind of edge", edges == {
            ("tea.md", "/missing/Kettle"): "dangling", ("tea.md", "/tag/hot"): "tagged",
            ("tools/pot.md", "/category/tools"): "in_category", ("tools/pot.md", "/tag/clay"): "tagged",
            ("tools/pot.md", "tea.md"): "link",
        }, edges)
        ends = {end for edge in edges for end in edge}
        holds("both ends of an edge are nodes", ends == {node["id"] for node in graph["nodes"]}, graph)
        around = told("/knowledge/graph", around="tea.md", depth=1)["graph"]["edges"]
        holds("links that lead to a note are around it", ("tools/pot.md", "tea.md") in
              {(edge["source"], edge["target"]) for edge in around}, around)
        missing = client.get("/knowledge/graph", params={"around": "nothing.md"})
        holds("around no note there is nothing: 404", missing.status_code == 404, missing.text)
        links = told("/knowledge/links", path="tea.md")
        holds("links are told in both directions, be there a note or none", (
            [(link["target"], link["path"]) for link in links["links"]], [note["path"] for note in links["linked_from"]],
        ) == ([("Kettle", None)], ["tools/pot.md"]), links)
        statuses = [client.get("/knowledge/links", params=asked).status_code for asked in ({"path": "nothing.md"}, {})]
        holds("links of no note there are none: 404, and one must be named: 422", statuses == [404, 422], statuses)
        holds("the configuration names the folder", told("/config/notes")["folder"] == str(notes))
        holds("the agent says how it answers", told("/agent/info")["mode"] == "notes")
        run = server.chat("How many degrees does green tea want?")["run_id"]
        logs = told("/agent/logs")["logs"]
        steps = [step["step"] for step in logs[0]["steps"]]
        holds("the log has the last run's steps", (logs[0]["run_id"], steps) == (run, ["search", "compose", "completed"]), logs)
        reset = client.post("/agent/reset")
        holds("a reset empties it", reset.json()["logs_cleared"] == 1 and told("/agent/logs")["logs"] == [], reset.text)
        (notes / "new.md").write_text("# New\n")
        synced = client.post("/sync", params={"force_rebuild": "true"}).json()
        holds("a forced sync finds what is new", synced["added"] == 1 and synced["changed"] == 0, synced)
        rebuilt = client.post("/cache/rebuild")
        holds("a rebuild is answered like a sync", rebuilt.json()["added"] == 0, rebuilt.text)
        for path, place in [("/notes/search", "query"), ("/knowledge/search", "query"), ("/notes?limit=x", "limit"),
                            ("/knowledge/search/content?query=a&case_sensitive=perhaps", "case_sensitive")]:
            refused = client.get(path)
            holds(f"GET {path} is 422 in FastAPI's shape", refused.status_code == 422 and
                  refused.json()["detail"][0]["loc"] == ["query", place], refused.text)
    shutil.rmtree(notes)


def files():
    notes, outside = folder(a="one\n"), folder(secret="secret\n")
    (notes / "away").symlink_to(outside)
    (notes / "secret.md").symlink_to(outside / "secret.md")
    (notes / "folder.md").mkdir()
    with Oneloop("files", notes) as server:
        client = server.client
        read = client.get(file("a.md"))
        etag = read.headers["etag"]
        holds("a note is read as it is", (read.text, read.headers["content-type"]) == ("one\n", "text/markdown; charset=utf-8"))
        again = client.get(file("a.md"), headers={"If-None-Match": etag})
        holds("whoever has it is told 304", (again.status_code, again.content) == (304, b""), again)
        head = client.head(file("a.md"))
        holds("HEAD has the head of GET", head.headers["content-length"] == "4" and head.headers["etag"] == etag, head.headers)
        holds("a write without a condition is 428", put(client, "a.md", "two", {}).status_code == 428)
        written = put(client, "a.md", "two\n", {"If-Match": etag})
        holds("a write on the right condition is 200", written.status_code == 200, written.text)
        stale = put(client, "a.md", "three\n", {"If-Match": etag})
        holds("on a stale one 412, with the version that is there",
              (stale.status_code, stale.headers["etag"]) == (412, written.headers["etag"]), stale.text)
        (notes / "a.md").write_text("by an editor\n")
        stale = put(client, "a.md", "three\n", {"If-Match": written.headers["etag"]})
        holds("what an editor has saved is not written over", stale.status_code == 412 and
              (notes / "a.md").read_text() == "by an editor\n", stale.text)
        found = client.get("/knowledge/search/content", params={"query": "editor"}).json()["results"]
        holds("and is known from then on", until(lambda: client.get(
            "/knowledge/search/content", params={"query": "by an editor"}).json()["results"]) is not None, found)

        tricks = {
            "../secret.md": 400, "a/../../secret.md": 400, "/etc/passwd.md": 400, ".oneloop/x.md": 400, ".x.md": 400,
            "x.txt": 400, "a//b.md": 400, "x\n.md": 400, "away/secret.md": 403, "away/new.md": 403, "secret.md": 403,
            "A.md": 409, "a.md/b.md": 409, "folder.md": 409, "x" * 253 + ".md": 400, "é" * 126 + ".md": 201,
            "é" * 127 + ".md": 400, "a/" * 64 + "x.md": 400,
        }
        for path, status in tricks.items():
            answer = client.put(f"/notes/file/{urllib.parse.quote(path, safe='')}", content=b"x", headers=NEW)
            if answer.status_code != status or (status >= 400 and not answer.json()["detail"]):
                holds(f"a PUT of {path!r} is {status}", False, (answer.status_code, answer.text))
        holds(f"{len(tricks)} tricks with paths are answered as they should be", True)
        composed = put(client, "Caf\u00e9.md", "x", NEW)
        decomposed = put(client, "Cafe\u0301.md", "x", NEW)
        holds("two compositions of one name are one name", (composed.status_code, decomposed.status_code) == (201, 409))
        holds("nothing outside was touched", [(path.name, path.read_text()) for path in outside.iterdir()] ==
              [("secret.md", "secret\n")])
        holds("a text that is not UTF-8 is 422",
              client.put(file("bytes.md"), content=b"\xff", headers=NEW).status_code == 422)
        holds("one that is too long 413", put(client, "long.md", "x" * (512 * 1024 + 1), NEW).status_code == 413)
        longest = put(client, "long.md", "x" * (512 * 1024), NEW)
        holds("the longest is taken, and read again", longest.status_code == 201 and
              len(client.get(file("long.md")).content) == 512 * 1024, longest.text)
        wrong = client.put(file("json.md"), json={}, headers=NEW)
        holds("JSON is no note: 415", wrong.status_code == 415, wrong.text)
        gone = client.delete(file("a.md"), headers={"If-Match": "*"})
        holds("a note is removed", gone.status_code == 200 and not (notes / "a.md").exists(), gone.text)
        holds("and then is 404", client.delete(file("a.md"), headers={"If-Match": "*"}).status_code == 404)
        left = [path.name for path in notes.rglob(".oneloop-*")]
        holds("no temporary file is left", left == [], left)
    shutil.rmtree(notes)
    shutil.rmtree(outside)


def many_writers():
    """Two hundred clients who each add a line to one note."""
    notes = folder(shared="")
    with Oneloop("writers", notes) as server:
        def add(number):
            with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
                tries = 0
                while True:
                    tries += 1
                    read = client.get(file("shared.md"))
                    written = put(client, "shared.md", f"{read.text}line {number}\n", {"If-Match": read.headers["etag"]})
                    if written.status_code == 200:
                        return tries
                    if written.status_code != 412:
                        holds("a writer is told that another was faster", False, written.text)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            tries = list(pool.map(add, range(200)))
        lines = (notes / "shared.md").read_text().splitlines()
        holds("two hundred writers of one note lose nothing", sorted(lines) == sorted(f"line {n}" for n in range(200)),
              (len(lines), len(set(lines))))
        holds("most were told of others and tried again", max(tries) > 1, tries)
        info = server.get("/info")["loop"]
        holds("no turn has used 10 ms of the thread's time", info["longest_turn_ms"] < 10, info)
    shutil.rmtree(notes)


def an_editor_among_writers():
    """An editor that knows nothing of the server saves a note again and again while two hundred clients write it."""
    notes = folder(shared="")
    shared = notes / "shared.md"
    with Oneloop("edited", notes) as server:
        done, told = threading.Event(), []

        def write(number):
            with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
                while not done.is_set():
                    read = client.get(file("shared.md"))
                    written = put(client, "shared.md", f"{read.text}line {number}\n", {"If-Match": read.headers["etag"]})
                    if written.status_code == 200:
                        return
                    told.append(written.status_code)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            writers = [pool.submit(write, number) for number in range(200)]
            for edit in range(40):
                # As editors do: a new file takes the place of the old one.
                saved = notes / ".shared.saved"
                saved.write_text(f"{shared.read_text()}edit {edit}\n")
                saved.replace(shared)
                done.wait(0.01)
            concurrent.futures.wait(writers, timeout=120)
            done.set()
        lines = shared.read_text().splitlines()
        edits = [line for line in lines if line.startswith("edit ")]
        holds("what an editor saves amid two hundred writers is never overwritten unseen",
              edits == [f"edit {edit}" for edit in range(40)], (len(edits), len(lines)))
        holds("a writer who did not know of it is told 412 and nothing else", set(told) == {412}, set(told))
        info = server.get("/info")["loop"]
        holds("meanwhile, too, no turn has used 10 ms of the thread's time", info["longest_turn_ms"] < 10, info)
    shutil.rmtree(notes)


def agent_kills():
    """A hundred times the server is killed while the agent keeps what it is told."""
    notes, chance = folder(tea="# Tea\n\nGreen tea wants 80 degrees.\n"), random.Random(11)
    state = tempfile.mkdtemp(prefix="oneloop-notes-state-")
    accepted, numbers = {}, iter(range(10**9))
    for _ in range(100):
        server = Oneloop("killed-agent", notes, "--state-dir", state)
        done = threading.Event()

        def tell():
            with httpx.Client(base_url=server.url, timeout=20, trust_env=False) as client:
                while not done.is_set():
                    number = next(numbers)
                    with contextlib.suppress(httpx.HTTPError):
                        answer = client.post("/chat/async", json={"message": f"Note: ticket {number} is kept."})
                        if answer.status_code == 202:
                            accepted[answer.json()["task_id"]] = number
                    # Not more than can be done: what waits at work is tried again, but not for ever.
                    done.wait(0.05)

        tellers = [threading.Thread(target=tell) for _ in range(4)]
        for teller in tellers:
            teller.start()
        done.wait(chance.uniform(0.0, 0.2))
        server.kill()
        done.set()
        for teller in tellers:
            teller.join()
    with Oneloop("killed-agent", notes, "--state-dir", state) as server:
        ended = {task: server.ended(task) for task in accepted}
        updates = {task: end["result"]["knowledge_updates"] for task, end in ended.items() if end["status"] == "completed"}
        given_up = [end["error"] for end in ended.values() if end["status"] == "failed"]
        holds(f"of {len(accepted)} statements that were accepted none is lost in a hundred kills",
              len(updates) + len(given_up) == len(accepted) > 100, len(updates))
        holds("only what was at work in three of them is given up",
              all("it is not tried again" in error for error in given_up) and len(given_up) < len(accepted) / 10,
              (len(given_up), given_up[:1]))
        holds("each is one change", all(len(changes) == 1 for changes in updates.values()))
        wrong = [update["path"] for (update,) in updates.values()
                 if hashlib.sha256((notes / update["path"]).read_bytes()).hexdigest() != update["hash"]]
        holds("every change that is told of is in the folder, byte for byte", wrong == [], wrong)
        paths = [update["path"] for (update,) in updates.values()]
        texts = [path.read_text() for path in notes.rglob("*.md")]
        twice = [number for task, number in accepted.items() if task in updates and
                 sum(f"# Ticket {number} is kept" in text for text in texts) != 1]
        holds("and was written once", twice == [] and len(set(paths)) == len(paths), twice)
        before = {path: path.read_bytes() for path in notes.rglob("*.md")}
        undone = [update for (update,) in updates.values()][::2]
        for update in undone:
            answer = server.client.post("/notes/undo", json={"id": update["id"]})
            if answer.status_code != 200:
                holds("a change is undone", False, answer.text)
        for update in undone:
            del before[notes / update["path"]]
        after = {path: path.read_bytes() for path in notes.rglob("*.md")}
        holds(f"{len(undone)} changes are undone exactly, and no other note is touched", before == after)
    shutil.rmtree(state)
    shutil.rmtree(notes)


def kills():
    """A hundred times the server is killed at work; every note that it was writing is whole, old or new."""
    notes, chance = folder(), random.Random(7)
    texts = {number: {None} for number in range(8)}

    def text(number, version):
        return f"{number} {version}\n" * (1 + 3000 * (version % 3))

    versions, answered = iter(range(10**9)), 0
    for kill in range(100):
        server = Oneloop("killed", notes)
        done = threading.Event()

        def write(number):
            nonlocal answered
            with httpx.Client(base_url=server.url, timeout=20, trust_env=False) as client:
                while not done.is_set():
                    version = next(versions)
                    with contextlib.suppress(httpx.HTTPError):
                        read = client.get(file(f"{number}.md"))
                        condition = NEW if read.status_code == 404 else {"If-Match": read.headers["etag"]}
                        # Unless it is answered, it may be the one or the other.
                        texts[number].add(text(number, version))
                        if put(client, f"{number}.md", text(number, version), condition).is_success:
                            texts[number] = {text(number, version)}
                            answered += 1

        writers = [threading.Thread(target=write, args=(number,)) for number in texts]
        for writer in writers:
            writer.start()
        done.wait(chance.uniform(0.0, 0.25))
        server.kill()
        done.set()
        for writer in writers:
            writer.join()
        for number, possible in texts.items():
            path = notes / f"{number}.md"
            found = path.read_text() if path.exists() else None
            if found not in possible:
                holds(f"after kill {kill} note {number} is whole", False, (found, len(possible)))
            texts[number] = {found}
    holds("a hundred kills leave every note whole, as the last answer said or as the write under way was to make it", True)
    holds("and some writes were answered in between", answered > 100, answered)
    shutil.rmtree(notes)


def bad_disks():
    """A full disk and a read-only one; they can be made only by root, in a name space of its own."""
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if os.geteuid() != 0 or probe.returncode != 0:
        print("left out notes: a full and a read-only disk need root", flush=True)
        return
    mounted = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-small-"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mounted], capture_output=True).returncode != 0:
        print("left out notes: no file system can be mounted here", flush=True)
        return
    try:
        (mounted / "a.md").write_text("one\n")
        with Oneloop("small", mounted) as server:
            client = server.client
            etag = client.get(file("a.md")).headers["etag"]
            full = put(client, "a.md", "x" * 400_000, {"If-Match": etag})
            holds("a full disk is 507, and the note as it was",
                  (full.status_code, (mounted / "a.md").read_text()) == (507, "one\n"), full.text)
            new = put(client, "b.md", "x" * 400_000, NEW)
            holds("nothing is left of a note that had no room", new.status_code == 507 and
                  sorted(path.name for path in mounted.iterdir()) == ["a.md"], list(mounted.iterdir()))
            subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
            for answer in [put(client, "a.md", "two", {"If-Match": etag}), put(client, "c/d.md", "two", NEW),
                           client.delete(file("a.md"), headers={"If-Match": "*"})]:
                if answer.status_code != 403 or "can't be written" not in answer.json()["detail"]:
                    holds("a read-only disk is 403", False, (answer.status_code, answer.text))
            holds("a read-only disk is 403, and the note as it was", (mounted / "a.md").read_text() == "one\n")
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=False)
        mounted.rmdir()


end_within(600)
routes()
files()
many_writers()
an_editor_among_writers()
bad_disks()
kills()
agent_kills()
