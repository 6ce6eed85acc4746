"""Runs the examples of a chapter, one after the other, and compares what they print. Called by `run`.

An example is a `console` block: `$ ` and a command, then what it prints, where `…` stands for anything within a line.
The server is one over an empty folder; its address takes the place of the usual one.
"""

import os
import pathlib
import re
import subprocess
import sys

import claims

URL = os.environ["ONELOOP_EMPTY_URL"]
BOOK = pathlib.Path(__file__).resolve().parents[2] / "docs"
holds = claims.by("examples")


def examples(text):
    """The commands of a chapter with what each should print."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        command, printed = None, []
        for line in block.splitlines():
            if line.startswith("$ "):
                if command is not None:
                    yield command, printed
                command, printed = line[2:], []
            else:
                printed.append(line)
        yield command, printed


def pattern(line):
    return ".*".join(re.escape(part) for part in line.split("…"))


def main(chapter):
    # All of them share one shell, so that what one sets another can use.
    shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    mark, count = "-- end of the example --", 0
    for command, printed in examples((BOOK / chapter).read_text()):
        shell.stdin.write(f"{command.replace('localhost:8000', URL.removeprefix('http://'))}\necho; echo '{mark}'\n")
        shell.stdin.flush()
        seen = []
        for line in shell.stdout:
            if line.rstrip("\n") == mark:
                break
            seen.append(line.rstrip("\n"))
        seen = "\n".join(seen).rstrip("\n").splitlines()
        fits = len(seen) == len(printed) and all(
            re.fullmatch(pattern(wanted), line) for wanted, line in zip(printed, seen))
        if not fits:
            holds(f"{chapter}: {command}", False, "\n".join(["is to print:", *printed, "has printed:", *seen]))
        count += 1
    shell.stdin.close()
    shell.wait()
    holds(f"the {count} examples of {chapter} print what the chapter says", count > 0)


main(sys.argv[1])
