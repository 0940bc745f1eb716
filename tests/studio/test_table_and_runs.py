"""Table and Runs: a CSV becomes a network, runs and comparisons are shown."""

import numpy as np
import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    y = np.where(x[:, 0] + x[:, 1] > 0, "up", "down")
    lines = [
        'a,"b, quoted",c,way',
        *(f"{r[0]},{r[1]},{r[2]},{k}" for r, k in zip(x, y, strict=True)),
    ]
    path = tmp_path_factory.mktemp("table") / "ways.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_becomes_a_network_with_its_worth(visit, table):
    page = visit("#table")
    page.set_input_files("#table-file", table)
    choices = page.locator("#target option").all_inner_texts()
    assert choices == ["a", "b, quoted", "c", "way"]
    page.get_by_role("button", name="Write a network").click()
    page.wait_for_selector(".results .chart", timeout=60_000)
    label = page.locator(".results .chart").first.get_attribute("aria-label")
    assert "netwright" in label
    assert "random forest" in label
    shown = page.locator(".results .facts dd").first.inner_text()
    assert float(shown.removesuffix(" %")) > 80
    with page.expect_download() as waiting:
        page.locator(".results").get_by_role("button", name="NumPy").click()
    assert waiting.value.suggested_filename == "way.zip"


def test_what_is_wrong_with_a_table_is_told_under_it(visit, table):
    page = visit("#table")
    page.set_input_files("#table-file", table)
    page.select_option("#target", "a")
    page.get_by_role("button", name="Write a network").click()
    told = "Column 'a' has 80 different values in 80 rows, expected classes."
    expect(page.locator("form .problem")).to_contain_text(told)
    # The browser notes by itself that the answer was no success.
    visit.troubles[:] = [each for each in visit.troubles if "422" not in each]


def test_runs_and_comparisons_are_shown(visit):
    page = visit("#runs")
    names = page.locator(".runs strong")
    page.wait_for_selector(".runs strong")
    assert sorted(names.all_inner_texts()) == ["drawings", "sine-referee"]
    page.get_by_role("button", name="drawings").click()
    page.wait_for_selector("h2:text('Validation: accuracy')")
    assert page.locator("h2:text('Evaluation')").inner_text().endswith("test tasks")
    page.get_by_role("button", name="sine-referee").click()
    page.wait_for_selector(".verdicts li")
    assert "hypernetwork beats maml-1." in page.locator(".verdicts li").all_inner_texts()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the whole report").click()
    assert waiting.value.suggested_filename == "sine-referee.html"
