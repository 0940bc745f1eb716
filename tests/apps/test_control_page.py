"""Pages with a machine and its hypernetwork, in a browser."""

import pytest

from netwright.apps.control import write_page
from netwright.errors import ConditionError
from netwright.tasks import Control
from netwright.training import make_hypernetwork


@pytest.fixture
def page_of(browser, tmp_path):
    """Open the page of an environment; what it logs as an error fails the test at its end."""
    troubles, pages = [], []

    def open_page(name, width=1000, **machine):
        family = Control(name)
        hypernetwork = make_hypernetwork(family.shape, seed=0, size=16)
        at = family.environment.machine(**machine) if machine else None
        path = write_page(hypernetwork, family, tmp_path / "page.html", machine=at)
        page = browser.new_page(viewport={"width": width, "height": 740})
        pages.append(page)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not troubles


@pytest.mark.parametrize("name", ["pendulum", "connect-directions", "grid-world"])
def test_what_is_on_a_page_acts(page_of, name):
    page = page_of(name)
    # Worlds whose steps are slow as well: a move of a board game takes 0.8 s.
    page.wait_for_function("state.some((v, i) => v !== world.start()[i]) && action.some((a) => a)")
    assert page.locator("#nudge").is_visible() == (name == "pendulum")


@pytest.mark.parametrize("width", [360, 1000])
def test_names_of_what_a_machine_has_do_not_run_into_their_sliders(page_of, width):
    page = page_of("connect-directions", width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    rows = page.locator("#sliders label").all()
    assert len(rows) == 11
    for row in rows:
        end = row.locator("span").evaluate(
            "(name) => { const r = document.createRange(); r.selectNodeContents(name); return r.getBoundingClientRect().right; }"
        )
        assert end <= row.locator("input").bounding_box()["x"]


def test_a_page_opens_with_the_machine_that_was_asked_for_and_goes_back_to_that_of_the_textbook(
    page_of,
):
    # Beyond where sliders go by themselves, and where they have no step.
    page = page_of("pendulum", mass=2.4117, gain=-0.7)
    sliders = {name: page.locator(f"#q-{name}") for name in ("mass", "gain")}
    assert page.evaluate("machine.mass") == pytest.approx(2.4117)
    assert float(sliders["mass"].input_value()) == pytest.approx(2.4117, abs=0.02)
    assert float(sliders["gain"].input_value()) == pytest.approx(-0.7, abs=0.02)
    page.locator("#textbook").click()
    assert page.evaluate("[machine.mass, machine.gain]") == [1, 1]
    assert float(sliders["gain"].input_value()) == pytest.approx(1, abs=0.02)


def test_a_machine_far_from_what_was_trained_on_is_refused_before_a_page_is_written(tmp_path):
    family = Control("pendulum")
    hypernetwork = make_hypernetwork(family.shape, seed=0, size=16)
    with pytest.raises(ConditionError, match="half ranges outside"):
        write_page(
            hypernetwork, family, tmp_path / "p.html", machine=family.environment.machine(mass=50.0)
        )
    assert not (tmp_path / "p.html").exists()
