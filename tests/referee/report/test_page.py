"""The page as a browser, a screen reader and an attacker meet it."""

import itertools
import re
from html.parser import HTMLParser

import pytest
from comparisons import LEARNERS, changed, write_comparison

from netwright.referee.report import read_comparison, summarise
from netwright.referee.report.page import STYLE, page
from netwright.referee.report.sections import report_document

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
ATTACK = '<script>alert(\'x\')</script>&" onload="x"<b>'


class Reader(HTMLParser):
    """Collects elements, and refuses what is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, *tags):
        return [element for element in self.elements if element[0] in tags]


def page_of(folder, **options):
    return page(report_document(summarise(read_comparison(write_comparison(folder, **options)))))


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    settings = ("5-way-1-shot", "20-way-1-shot")
    return page_of(tmp_path_factory.mktemp("page") / "c", settings=settings)


@pytest.fixture(scope="module")
def found(text):
    return read(text)


def test_there_is_one_title_of_the_first_rank_and_none_is_skipped(found):
    ranks = [int(tag[1]) for tag, _, _ in found.all("h1", "h2", "h3")]
    assert ranks.count(1) == 1
    assert ranks[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(ranks))


def test_sections_stand_in_the_order_in_which_a_reader_asks(found):
    titles = [attributes["id"] for _, attributes, _ in found.all("h2")]
    assert titles == [
        "verdicts", "results", "ranks", "robust", "curves", "size", "support", "cost", "control", "calibration",
        "failures", "tried", "provenance",
    ]  # fmt: skip
    links = [attributes["href"] for _, attributes, within in found.all("a") if "nav" in within]
    assert links == [f"#{title}" for title in titles]


def test_every_table_has_a_caption_and_heads_for_columns_and_rows(text):
    tables = re.findall(r"<table>.*?</table>", text, re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        inner = read(table)
        assert len(inner.all("caption")) == 1
        columns = [a for _, a, _ in inner.all("th") if a["scope"] == "col"]
        rows = [a for _, a, _ in inner.all("th") if a["scope"] == "row"]
        assert len(columns) >= 2
        assert len(rows) == len(inner.all("tr")) - 1
        assert len(inner.all("td")) == len(rows) * (len(columns) - 1)


def test_a_box_that_scrolls_can_be_reached_and_is_named(found):
    boxes = [a for tag, a, _ in found.elements if a.get("class") == "scroll"]
    assert boxes
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in boxes)


def test_every_drawing_is_named_or_hidden(found):
    drawings = [a for _, a, _ in found.all("svg")]
    named = [a for a in drawings if a.get("role") == "img"]
    assert len(named) >= 12
    assert all(a["aria-label"] for a in named)
    assert all(a.get("aria-hidden") == "true" for a in drawings if a not in named)


def test_a_drawing_says_its_numbers_in_words(found):
    (label,) = [
        a["aria-label"]
        for _, a, _ in found.all("svg")
        if a.get("aria-label", "").startswith("Mean ranks")
    ]
    assert all(name in label for name in LEARNERS)


def test_nothing_is_loaded_from_anywhere(text, found):
    assert not re.search(r"https?:|//|url\(|@import", text.partition("<body>")[2])
    assert not re.search(r"https?:|url\(|@import", text)
    assert not found.all("script", "link", "img", "iframe", "object", "form")
    assert not [a for _, a, _ in found.elements if "src" in a or any(n.startswith("on") for n in a)]
    (policy,) = [a["content"] for _, a, _ in found.all("meta") if "http-equiv" in a]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_ids_are_unique_and_links_lead_to_them(found):
    ids = [a["id"] for _, a, _ in found.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"].removeprefix("#") for _, a, _ in found.all("a")} <= set(ids)


def test_a_verdict_is_a_word_and_a_symbol_and_weighs_the_same_as_any_other(text):
    marks = re.findall(r'<span class="outcome [a-z-]+"><span aria-hidden="true">(.)</span> ([a-z ]+)', text)  # fmt: skip
    assert {("▲", "win"), ("▼", "loss"), ("=", "tie")} <= set(marks)
    rules = [rule for rule in STYLE.read_text().split("}") if "outcome" in rule]
    assert len(rules) == 1
    assert not re.search(r"\.(win|loss|tie|no-claim)\b", STYLE.read_text())


def test_what_comes_from_files_is_shown_and_never_run(tmp_path):
    learners = {**LEARNERS, ATTACK: ("maml", 0.7, 0.005, 9_000, 3.0, 100.0)}
    fields = {"status": "failed", "error": ATTACK, "scores": {}, "machine": ATTACK, "kind": ATTACK}

    def change(result):
        result = {
            **result,
            "versions": {ATTACK: ATTACK},
            "choice": {ATTACK: ATTACK},
            "unit": ATTACK,
        }
        result["tried"] = [{ATTACK: ATTACK, "validation": 0.5}]
        return changed("joint+tune", 1, **fields)(result)

    text = page_of(
        tmp_path / "c",
        learners=learners,
        settings=(ATTACK.replace("/", "|"), "b", "c"),
        question=ATTACK,
        hypotheses=(ATTACK,),
        episodes=10,
        change=change,
    )
    found = read(text)
    assert not found.all("script", "b")
    assert not [a for _, a, _ in found.elements if "onload" in a]
    shown = "".join(words for _, words in found.texts)
    assert shown.count(ATTACK) > 20


@pytest.mark.parametrize(
    "fields",
    [
        {"curve": []}, {"curve": None}, {"by_support": None}, {"by_support": [{"shots": 3, "value": None}]},
        {"calibration": None}, {"calibration": {"ece": None, "brier": float("nan"), "bins": []}}, {"shuffled": None},
        {"shuffled": {"accuracy": [0.2] * 7}}, {"shuffled": {"accuracy": [float("nan")] * 10}}, {"cost": None},
        {"cost": {"deployed_bytes": 0, "adapt_ms": 0.0, "train_cpu_seconds": float("inf")}},
        {"choice": None, "tried": None}, {"versions": None, "machine": "", "run": ""},
        {"curve": [{"step": 5, "cpu_seconds": 0.0, "validation": float("nan")}]},
        {"curve": [{"step": 5, "cpu_seconds": 1.0, "validation": -0.5}]},
        {"scores": {"accuracy": [0.0] * 10}}, {"scores": {"accuracy": [1e-12 * i for i in range(10)]}},
        {"scores": {"accuracy": [1e9 * i for i in range(10)]}}, {"scores": {"accuracy": [float("nan")] * 10}},
        {"status": "failed", "error": "", "scores": None, "fingerprint": ""},
    ],
)  # fmt: skip
@pytest.mark.parametrize("who", ["one contestant", "all"])
def test_whatever_is_absent_or_no_number_there_is_a_page(tmp_path, fields, who):
    def change(result):
        if who == "all":
            return {**result, **fields}
        return changed("maml-10", 1, **fields)(result)

    options = {"settings": ("a", "b"), "seeds": (0, 1), "episodes": 10, "change": change}
    found = read(page_of(tmp_path / "c", **options))
    assert len(found.all("h2")) == 13
    words = {word for _, data in found.texts for word in data.split()}
    assert not words & {"nan", "NaN", "None", "inf"}


def test_a_seed_that_failed_is_named_with_its_reason(tmp_path):
    change = changed("maml-10", 1, status="failed", error="out of memory in step 7", scores={})
    shown = re.sub("<[^>]*>", " ", page_of(tmp_path / "c", change=change))
    assert "out of memory in step 7" in shown
    assert "maml-10 against hypernetwork: no claim, seed 1 failed." in shown


def colours(text):
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_light_dark_and_print_are_legible():
    # Contrast as WCAG 2.1 defines it: 4.5 for text, 3 for marks.
    light, dark, printed = (colours(part) for part in STYLE.read_text().split("@media (p")[0:1] + re.split(r"@media (?:\(prefers|print)", STYLE.read_text())[1:3])  # fmt: skip
    assert light.keys() == dark.keys() > printed.keys()
    for palette in (light, dark, {**light, **printed}):
        ground = luminance(palette["ground"])
        for name, colour in palette.items():
            if name in ("ground", "rule", "sheet"):
                continue
            bright, dim = sorted((ground, luminance(colour)), reverse=True)
            least = 3 if name.startswith("s") else 4.5
            assert (bright + 0.05) / (dim + 0.05) >= least, name
