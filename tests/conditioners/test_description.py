"""Texts as conditions: words in order, any language, and what is refused."""

import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from making import SIZE, make_condition, perturb

import netwright as nw
from netwright.conditioners import Description
from netwright.conditioners.words import pieces_of, words_of
from netwright.conditions import Condition, Texts
from netwright.errors import ConditionError, RunError


@pytest.fixture
def reader():
    reader = Description(size=SIZE, buckets=500)
    perturb(reader, torch.Generator().manual_seed(0))
    return reader


def read(reader, *texts):
    return reader(Condition(description=Texts(texts))).z


def test_words_are_words_numbers_and_marks_of_any_script():
    assert words_of("Flag  digits >= 4, not SEVEN!") == (
        ["flag", "digits", ">", "=", "4", ",", "not", "seven", "!"]
    )
    assert words_of("Größer als vier") == ["grösser", "als", "vier"]
    assert words_of("больше четырёх") == ["больше", "четырёх"]
    assert words_of("①２") == ["12"]
    assert words_of("字" * 50) == ["字" * 24, "字" * 24, "字" * 2]


def test_pieces_are_the_word_and_its_letters_in_threes_the_same_in_every_process():
    assert pieces_of("cat", 2**32) == tuple(map(crc, ("<cat>", "<ca", "cat", "at>")))
    assert pieces_of("cat", 2**32)[0] == 0x4847FA39
    assert len(pieces_of("a", 100)) == 1
    assert max(pieces_of("whatever", 7)) < 7


def crc(text: str) -> int:
    return zlib.crc32(text.encode())


def test_the_order_of_words_matters_and_case_and_spaces_do_not(reader):
    with torch.no_grad():
        plain = read(reader, "less than two")
        assert not torch.allclose(read(reader, "two than less"), plain, atol=1e-3)
        torch.testing.assert_close(read(reader, "  Less than\nTWO "), plain)


@given(texts=st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=4))
def test_any_texts_are_read_each_by_itself(texts):
    reader = Description(size=SIZE, buckets=500).eval()
    with torch.no_grad():
        together = read(reader, *texts)
        assert together.isfinite().all()
        for t, text in enumerate(texts):
            torch.testing.assert_close(
                read(reader, text), together[t : t + 1], rtol=1e-4, atol=1e-5
            )


def test_texts_that_cannot_be_read_are_refused(reader):
    for wrong in ("abc", [1, 2]):
        with pytest.raises(ConditionError, match="expected a list with one text per task"):
            Texts(wrong)
    with pytest.raises(ConditionError, match="`description` of task 1 is empty, expected a text"):
        read(reader, "a", " \n")
    with pytest.raises(ConditionError, match="of task 0 has 65 words, expected at most 64 words"):
        read(reader, "a " * 65)
    with pytest.raises(
        ConditionError, match="of task 0 has 1,000,000 letters, expected at most 64"
    ):
        read(reader, "a " * 500_000)
    with pytest.raises(ConditionError, match="`description` is list, expected `netwright.Texts`"):
        reader(Condition(description=["a"]))
    with pytest.raises(ConditionError, match="`description` holds 1 texts for 2 tasks"):
        Condition(context=torch.rand(2, 1), description=Texts(["a"])).check()
    with pytest.raises(RunError, match="depth=-1"):
        Description(depth=-1)


def test_no_network_is_written_from_words_that_training_has_never_seen(reader):
    hypernetwork = nw.Hypernetwork(
        nw.Child(nw.architectures.mlp(inputs=2, outputs=1)), reader, "dense"
    )
    hypernetwork.train()
    hypernetwork(Condition(description=Texts(["flag large digits", "flag small ones"])))
    one = hypernetwork.generate(Condition(description=Texts(["large digitz, please"])))
    assert one(torch.randn(4, 2)).shape == (4, 1)
    with pytest.raises(
        ConditionError, match="'grosse Ziffern', has no word that was seen in training"
    ):
        hypernetwork.generate(Condition(description=Texts(["grosse Ziffern"])))


def test_texts_are_chosen_like_tensors():
    texts = Texts(["a", "b", "c"])
    assert texts.rows(slice(1, 3)).values == ("b", "c")
    assert texts.rows(torch.tensor([2, 0])).values == ("c", "a")
    assert texts.rows(torch.tensor([True, False, True])).values == ("a", "c")


def test_networks_of_different_texts_have_different_provenance():
    hypernetwork = nw.Hypernetwork(
        nw.Child(nw.architectures.mlp(inputs=2, outputs=1)), Description(size=SIZE), "dense"
    )
    a, b, c = hypernetwork.generate_many(Condition(description=Texts(["one", "two", "one"])))
    assert a.provenance.condition == c.provenance.condition != b.provenance.condition


def test_a_condition_carries_its_texts_along():
    condition = make_condition(3, torch.Generator(), "examples", "description")
    assert condition.rows(slice(0, 1)).description.tasks == 1
    assert condition.to("cpu").description == condition.description
