"""Rules in words: they mean what they say, and splits share neither rules nor pictures."""

import pytest
from sklearn.datasets import load_digits

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import SPLITS, DigitRules
from netwright.tasks.rules import FRAMES, all_rules

# Read by hand.
MEANINGS = {
    "greater than four": {5, 6, 7, 8, 9},
    "not more than 2": {0, 1, 2},
    "between two and five": {2, 3, 4, 5},
    "prime except three": {2, 5, 7},
    "a square number or 6": {0, 1, 4, 6, 9},
    "greater than 4 and odd": {5, 7, 9},
    "neither one nor eight": {0, 2, 3, 4, 5, 6, 7, 9},
    "above 3 and between 2 and 7": {4, 5, 6, 7},
    "7 or 2": {2, 7},
}


@pytest.fixture(scope="module")
def family():
    return DigitRules()


def test_rules_mean_what_they_say():
    said = {
        rule.say(i, 0, words=words): rule.digits
        for rules in all_rules().values()
        for rule in rules
        for i in range(len(rule.phrases))
        for words in (True, False)
    }
    for text, digits in MEANINGS.items():
        assert said[text] == digits, text
    assert not any("{" in text for text in said)


def test_no_text_is_said_of_two_sets_of_digits():
    meanings: dict[str, frozenset[int]] = {}
    for digits, rules in all_rules().items():
        for rule in rules:
            for i in range(len(rule.phrases)):
                text = rule.say(i, 0, words=True)
                assert meanings.setdefault(text, digits) == digits, text


def test_labels_follow_the_rule_and_are_balanced(family):
    batch = family.sample(stream(0, "x"), 50, "train")
    x, digits = load_digits(return_X_y=True)
    digit_of = {tuple(row): int(digit) for row, digit in zip(x.tolist(), digits, strict=True)}
    meaning = {
        rule.say(i, j, words=words): rule.digits
        for rules in all_rules().values()
        for rule in rules
        for i in range(len(rule.phrases))
        for j in range(len(FRAMES))
        for words in (True, False)
    }
    for part in (batch.query, batch.condition.examples):
        for text, x, y in zip(batch.condition.description.values, part.x, part.y, strict=True):
            shown = [digit_of[tuple(row)] for row in (16 * x).tolist()]
            assert [digit in meaning[text] for digit in shown] == y.bool().tolist()
    assert batch.query.y.float().mean() == 0.5
    assert batch.condition.examples.y.sum(1).tolist() == [3] * 50


def test_splits_share_no_picture(family):
    seen = [
        {
            tuple(x.tolist())
            for i in range(20)
            for x in family.sample(stream(i), 8, split).query.x.flatten(0, 1)
        }
        for split in SPLITS
    ]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert not seen[0] & seen[2]


def test_sources_can_be_chosen(family):
    words = DigitRules(sources=("description",)).sample(stream(0), 3, "test").condition
    assert sorted(words.present()) == ["description"]
    examples = DigitRules(sources=("examples",), shots=2).sample(stream(0), 3, "test").condition
    assert sorted(examples.present()) == ["examples"]
    assert examples.examples.x.shape == (3, 2, 64)
    with pytest.raises(DataError, match=r"`sources` is \['text'\], expected one or more of"):
        DigitRules(sources=("text",))
    with pytest.raises(DataError, match="`shots` is 1, expected a whole number of at least 2"):
        DigitRules(shots=1)


def test_every_frame_is_used(family):
    texts = [
        text
        for i in range(10)
        for text in family.sample(stream(i), 40, "train").condition.description.values
    ]
    for frame in FRAMES[1:]:
        start = frame.partition("{")[0]
        assert any(text.startswith(start) for text in texts), frame
