"""A report in a real browser, which no check of its text replaces."""

import numpy as np
import pandas as pd
import pytest

from headless import Page, find_browser
from oddshot import FewShotDetector
from oddshot.reports.gathering import detection_report

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium is installed (or name it in CHROMIUM)"
)
SCRIPT = "<script>window.hacked = 1</script>"
QUOTE = '" onmouseover="window.hacked = 1" x="'
IMAGE = "<img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 3)), columns=["size", SCRIPT, QUOTE])
    frame["shop"] = rng.choice(["here", "there"], size=150)
    frame["empty now and then"] = np.where(rng.random(150) < 0.3, np.nan, rng.normal(size=150))
    frame.loc[:4, "shop"] = [SCRIPT, QUOTE, IMAGE, "&lt;b&gt;", "שלום 😀" * 40]
    frame.loc[:4, "size"] = [9.0, 12.5, 7.0, -8.0, 100.0]
    path = tmp_path_factory.mktemp("report") / "report.html"
    detector = FewShotDetector().fit(frame)
    path.write_text(detection_report(detector, frame, source=IMAGE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(report):
    with Page(BROWSER) as page:
        page.open(report)
        yield page


def column(page, number):
    """Sort keys of a column of the table of oddest rows, as they are shown."""
    return page.value(
        "[...document.querySelectorAll('table.sortable tbody tr')]"
        f".map(row => row.cells[{number}].dataset.k ?? row.cells[{number}].textContent)"
    )


def head(page, name):
    """Position of the column with this heading."""
    heads = page.value(
        "[...document.querySelectorAll('table.sortable th')].map(h => h.textContent.trim())"
    )
    return heads.index(name)


def order_of(page, number):
    return page.value(
        f"document.querySelectorAll('table.sortable th')[{number}].getAttribute('aria-sort')"
    )


def test_it_renders(page):
    assert "look odd" in page.value("document.querySelector('h1').innerText")
    assert page.value("document.querySelectorAll('.card').length") == 12
    assert page.value(
        "[...document.querySelectorAll('.sortable .why')].every(e => e.textContent.trim())"
    )
    assert page.value("document.querySelectorAll('svg rect').length") > 10
    for drawn in ("figure svg", "table.sortable", ".card table"):
        box = f"document.querySelector({drawn!r}).getBoundingClientRect()"
        assert page.value(f"{box}.width") > 200
        assert page.value(f"{box}.height") > 50


def test_it_asks_no_network_and_complains_of_nothing(page):
    assert page.complaints() == []
    assert [url for url in page.requests() if not url.startswith(("file:", "data:"))] == []


def test_what_the_table_holds_is_shown_and_never_run(page):
    assert page.value("window.hacked") is None
    assert page.value("document.scripts.length") == 1
    assert page.value("document.images.length") == 0
    assert page.value(
        "[...document.querySelectorAll('*')].every("
        "e => [...e.attributes].every(a => !a.name.startsWith('on')))"
    )
    shown = page.value("document.body.innerText")
    for text in (SCRIPT[:20], QUOTE[:10], IMAGE, "&lt;b&gt;", "שלום"):
        assert text in shown


def test_an_injected_script_would_not_run(report, tmp_path):
    changed = report.read_text(encoding="utf-8").replace("<main>", f"<main>{SCRIPT}{IMAGE}")
    (tmp_path / "changed.html").write_text(changed, encoding="utf-8")
    with Page(BROWSER) as page:
        page.open(tmp_path / "changed.html")
        assert page.value("window.hacked") is None
        assert page.complaints()


def test_a_click_sorts_and_another_turns_the_order(page):
    number = head(page, "size")
    button = f"table.sortable th:nth-child({number + 1}) button"
    page.click(button)
    keys = [float(key) for key in column(page, number)]
    assert keys == sorted(keys)
    assert order_of(page, number) == "ascending"
    assert order_of(page, 0) == "none"
    page.click(button)
    keys = [float(key) for key in column(page, number)]
    assert keys == sorted(keys, reverse=True)
    assert order_of(page, number) == "descending"


def test_the_keyboard_sorts_and_gaps_stay_last(page):
    number = head(page, "empty now and then")
    heads = "document.querySelectorAll('table.sortable th button')"
    page.value(f"{heads}[{number - 1}].focus()")
    page.press("Tab", 9)
    assert page.value(f"document.activeElement === {heads}[{number}]")
    for turned in (False, True):
        page.press("Enter", 13)
        keys = column(page, number)
        known = [float(key) for key in keys if key]
        assert known == sorted(known, reverse=turned)
        assert keys[len(known) :] == [""] * (len(keys) - len(known))


def contrast(first, second):
    """Contrast of two colours "rgb(r, g, b)" by WCAG 2.1."""

    def light(colour):
        parts = np.array([float(x) for x in colour[4:-1].split(",")]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([light(first), light(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_by_day_and_night_and_on_paper(report, tmp_path, dark):
    with Page(BROWSER, width=420, dark=dark) as page:
        page.open(report)

        def style(selector, name):
            return page.value(f"getComputedStyle(document.querySelector({selector!r}))[{name!r}]")

        ground = style("body", "backgroundColor")
        assert (ground == "rgb(255, 255, 255)") != dark
        for selector in ("p", ".source", ".gap", "h1", ".tiles .main dd"):
            assert contrast(style(selector, "color"), ground) > 4.5, selector
        assert page.value("document.documentElement.scrollWidth") <= 420
        wide = "document.querySelector('.sortable').parentElement"
        assert page.value(f"{wide}.scrollWidth > {wide}.clientWidth")
        assert not page.value(f"{wide}.previousElementSibling.hidden")
        right = f"{wide}.getBoundingClientRect().right"
        why = "document.querySelector('.sortable .why').getBoundingClientRect()"
        assert page.value(f"{why}.right <= {right}")
        page.print(tmp_path / "report.pdf")
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        page.call("Emulation.setEmulatedMedia", media="print")
        assert style("th button", "display") == "contents"  # a button is not printed twice
        assert style(".hint", "display") == "none"
