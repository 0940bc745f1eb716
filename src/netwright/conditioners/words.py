"""Texts as words, and words as hashed pieces: any language, no vocabulary, nothing to download."""

import re
import unicodedata
import zlib
from functools import lru_cache

# What no space divides (scripts without spaces, long numbers) is cut into parts of this length.
_LONGEST = 24
_WORDS = re.compile(r"\w+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Words, numbers and marks of a text, in order, in lower case."""
    text = unicodedata.normalize("NFKC", text).casefold()
    found = _WORDS.findall(text)
    return [word[i : i + _LONGEST] for word in found for i in range(0, len(word), _LONGEST)]


@lru_cache(maxsize=100_000)
def pieces_of(word: str, buckets: int) -> tuple[int, ...]:
    """The word itself, then its three-letter pieces, as numbers below `buckets`.

    Inflected forms and misspellings share pieces with words that training has seen.

    References:
        Bojanowski et al., Enriching Word Vectors with Subword Information, arXiv:1607.04606.
    """
    marked = f"<{word}>"
    pieces = [marked] + [marked[i : i + 3] for i in range(len(marked) - 2) if len(marked) > 3]
    # crc32 and not `hash`, which differs from process to process.
    return tuple(zlib.crc32(piece.encode()) % buckets for piece in pieces)
