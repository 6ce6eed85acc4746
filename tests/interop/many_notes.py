"""Writes a folder of notes in which every common word stands everywhere, so that searching them takes a while."""

import itertools
import pathlib
import random
import sys

NOTES = 1500
WORDS = ["".join(parts) for parts in itertools.product("ba ce di fo gu ka".split(), "ra se ti vo".split(), "nms")]

folder = pathlib.Path(sys.argv[1])
chance = random.Random(7)
for number in range(NOTES):
    lines = (" ".join(chance.choices(WORDS, k=12)) + "." for _ in range(40))
    folder.joinpath(f"{number}.md").write_text(f"# Note {number}\n\n" + "\n".join(lines) + "\n")
