"""Makes src/text/common.txt: how much the commonest words of English say, in tenths, by the package wordfreq.

    python common.py > ../../../src/text/common.txt

A word that stands once in 30,000 words or more seldom says all that it can; `come` says less than half. Stems are those of
snowballstemmer. Each line is `term tenths`, the lines in byte order.
"""

from snowballstemmer import stemmer
from wordfreq import top_n_list, zipf_frequency

# On the scale of Zipf: common words say nothing from here on, and all from there on.
NOTHING, ALL = 6.9, 4.5


def main():
    stem = stemmer("english").stemWord
    commonest = {}
    for word in top_n_list("en", 4000):
        if word.isascii() and word.isalpha() and len(word) >= 3:
            term = stem(word)
            commonest[term] = max(commonest.get(term, 0), zipf_frequency(word, "en"))
    says = {term: round(10 * (NOTHING - zipf) / (NOTHING - ALL)) for term, zipf in commonest.items()}
    for term in sorted(says):
        if says[term] < 10:
            print(term, max(1, says[term]))


main()
