"""Rules about the digits 0 to 9, in English words."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

DIGITS = range(10)
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# How a rule is asked for; the first is the rule alone.
FRAMES = (
    "{}",
    "digits {}",
    "flag digits that are {}",
    "find every digit {}",
    "is it {} ?",
    "pick out what is {}",
)
# Of 100 sets of digits: how many are for validation and for testing.
_SHARES = {"validation": 10, "test": 20}


@dataclass(frozen=True)
class Rule:
    """A set of digits and ways to say it.

    Args:
        digits: Which digits it is true of.
        phrases: Ways to say it, with numbers as {0}, {1}, ...
        numbers: The numbers in it.
    """

    digits: frozenset[int]
    phrases: tuple[str, ...]
    numbers: tuple[int, ...] = ()

    def say(self, phrase: int, frame: int, *, words: bool) -> str:
        """The rule as a text, its numbers as words or as figures."""
        said = [NAMES[n] if words else str(n) for n in self.numbers]
        return FRAMES[frame].format(self.phrases[phrase].format(*said))


@cache
def all_rules() -> dict[frozenset[int], tuple[Rule, ...]]:
    """Every rule, by the set of digits that it is true of; none is true of all digits or of none."""
    found: dict[frozenset[int], list[Rule]] = {}
    for rule in _rules():
        if 0 < len(rule.digits) < len(DIGITS):
            found.setdefault(rule.digits, []).append(rule)
    return {digits: tuple(found[digits]) for digits in sorted(found, key=sorted)}


def split_of(digits: frozenset[int]) -> str:
    """The split that owns a set of digits, and with it every way to say it."""
    text = "rule " + " ".join(map(str, sorted(digits)))
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") % 100
    if share < _SHARES["validation"]:
        return "validation"
    return "test" if share < _SHARES["validation"] + _SHARES["test"] else "train"


def _rules() -> Iterator[Rule]:
    plain = list(_plain())
    yield from plain
    yield from _lists()
    for rule in plain:
        count = len(rule.numbers)
        for digit in sorted(rule.digits):
            yield Rule(
                rule.digits - {digit},
                tuple(
                    f"{phrase}{joint} {{{count}}}"
                    for phrase in rule.phrases
                    for joint in (" except", " but not", ", without")
                ),
                (*rule.numbers, digit),
            )
        for digit in set(DIGITS) - rule.digits:
            yield Rule(
                rule.digits | {digit},
                tuple(
                    f"{phrase}{joint} {{{count}}}"
                    for phrase in rule.phrases
                    for joint in (" or", ", or else")
                ),
                (*rule.numbers, digit),
            )
    for first, second in combinations(plain, 2):
        shift = len(first.numbers)
        later = [f"{{{i + shift}}}" for i in range(len(second.numbers))]
        phrases = tuple(
            f"{a} and {b.format(*later)}" for a in first.phrases for b in second.phrases[:1]
        )
        yield Rule(first.digits & second.digits, phrases, first.numbers + second.numbers)


def _plain() -> Iterator[Rule]:
    for n in DIGITS:
        above, below = frozenset(range(n + 1, 10)), frozenset(range(n))
        yield Rule(
            above, ("greater than {0}", "above {0}", "more than {0}", "larger than {0}"), (n,)
        )
        yield Rule(below, ("less than {0}", "below {0}", "under {0}", "smaller than {0}"), (n,))
        yield Rule(above | {n}, ("at least {0}", "{0} or more", "not less than {0}"), (n,))
        yield Rule(below | {n}, ("at most {0}", "{0} or less", "not more than {0}"), (n,))
    for a, b in combinations(DIGITS, 2):
        phrases = ("between {0} and {1}", "from {0} to {1}", "in the range {0} - {1}")
        yield Rule(frozenset(range(a, b + 1)), phrases, (a, b))
    yield Rule(frozenset({0, 2, 4, 6, 8}), ("even", "not odd", "divisible by two"))
    yield Rule(frozenset({1, 3, 5, 7, 9}), ("odd", "not even"))
    yield Rule(frozenset({2, 3, 5, 7}), ("prime", "a prime number"))
    yield Rule(frozenset({0, 1, 4, 6, 8, 9}), ("not prime", "no prime number"))
    yield Rule(frozenset({0, 3, 6, 9}), ("divisible by three", "multiples of three"))
    yield Rule(frozenset({0, 1, 4, 9}), ("square", "a square number"))


def _lists() -> Iterator[Rule]:
    everything = frozenset(DIGITS)
    for count, some, rest in (
        (1, ("{0}", "exactly {0}"), ("anything but {0}", "not {0}", "all except {0}")),
        (2, ("{0} or {1}", "{1} or {0}"), ("anything but {0} and {1}", "neither {0} nor {1}")),
        (3, ("{0} , {1} or {2}",), ("anything but {0} , {1} and {2}",)),
    ):
        for numbers in combinations(DIGITS, count):
            yield Rule(frozenset(numbers), some, numbers)
            yield Rule(everything - set(numbers), rest, numbers)
