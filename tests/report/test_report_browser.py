"""The report and the blind test in a browser, from file:// and without a network: read, measured, judged, scored.

Skipped where Chromium or the package playwright is missing.
"""

import itertools
import json
import re
import shutil
import subprocess
import urllib.parse

import numpy as np
import pandas as pd
import pytest
from closeness_rows import write_tables

from ecgpipe.blind.scoring import score
from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.report import effects, figures
from ecgpipe.report.answers import at_most_real
from ecgpipe.report.run import build_report
from ecgpipe.vocabulary import NO_SIGN

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the pages are not tried in a browser"),
    pytest.mark.slow,
]
HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def browser():
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=[*flags, "--disable-sync"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    """Return the folder of a report; a synthetic record has a hostile name, and the audit points to it."""
    root = tmp_path_factory.mktemp("browser")
    own = Dataset.load(results.samples["a", "gen"])
    records = own.records.assign(record=[HOSTILE, *own.records["record"][1:]])
    time = np.arange(1000) / 100
    signals = np.array(own.signals)
    signals[0] = 3.0 * (np.abs((time % 1.0) - 0.5) < 0.02)  # beats of 3 mV, 60 a minute
    save_dataset(root / "samples", signals, records, own.spec)
    tables = shutil.copytree(results.tables, root / "tables")
    write_tables(tables, NO_SIGN)
    pair = {"dataset": "a", "generator": "gen", "synthetic": HOSTILE, "training": "v2", "kind": "near"}
    pd.DataFrame([pair | {"similarity": 0.96, "shift": 0.5, "distance": 0.1}]).to_parquet(tables / "copies.parquet")
    build_report(
        results.config,
        tables=tables,
        data=results.data,
        samples={("a", "gen"): root / "samples"},
        models=results.models,
        git=None,
        beside=False,
        out=root / "report" / "index.html",
    )
    return root / "report"


@pytest.fixture
def visit(browser, folder):
    """Return a function that opens a page offline; what it logs or asks for beside itself fails the test."""
    contexts, noise = [], []

    def open_page(name, **options):
        context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on(
            "request", lambda request: noise.append(request.url) if request.url[:5] not in ("data:", "file:") else 0
        )
        page.goto((folder / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert noise == []


def choose(page, name, label):
    page.select_option(f"#viewer-{name}", label=label)


def ink(page, canvas="#viewer-sheet canvas"):
    """Return where the trace of the sheet is drawn, as a boolean image, and pixels a mm."""
    found = page.evaluate(
        """selector => { const canvas = document.querySelector(selector), pen = canvas.getContext("2d");
        const {data} = pen.getImageData(0, 0, canvas.width, canvas.height), dark = [];
        for (let i = 0; i < data.length; i += 4) dark.push(data[i] + data[i + 1] + data[i + 2] < 420 ? 1 : 0);
        return [canvas.width, canvas.height, canvas.clientWidth, dark.join("")]; }""",
        canvas,
    )
    width, height, shown, dark = found
    return np.array(list(dark), dtype="U1").reshape(height, width) == "1", shown


def test_viewer_pages_through_records(visit, results):
    rhythms = Dataset.load(results.data["a"]).records["label"]
    page = visit("index.html")
    about = page.locator("#viewer-about")
    assert page.locator(".examples").is_hidden()
    assert page.locator("#viewer-set option").all_inner_texts() == [
        "simulated records",
        "synthetic: gen",
        "most alike to training records: gen",
    ]
    assert re.fullmatch(r"SR · simulated record t0 \(test\) · .*", about.inner_text())
    first, every = page.locator("#viewer-count").inner_text().split(" of ")
    assert first == "1"
    assert 2 < int(every) <= len(rhythms)
    page.click("#viewer-next")
    assert page.locator("#viewer-count").inner_text() == f"2 of {every}"
    choose(page, "rhythm", "AFIB")
    first, afib = page.locator("#viewer-count").inner_text().split(" of ")
    assert first == "1"
    assert 2 < int(afib) < int(every)
    assert about.inner_text().startswith("AFIB · ")
    page.focus("#viewer-sheet")
    page.keyboard.press("p")
    assert page.locator("#viewer-count").inner_text() == f"{afib} of {afib}"
    page.keyboard.press("g")
    assert about.inner_text().startswith("AFIB · synthetic record of gen, s1")


def test_names_stay_text_and_pairs_stand_side_by_side(visit):
    page = visit("index.html")
    choose(page, "set", "most alike to training records: gen")
    assert HOSTILE in page.locator("#viewer-about").inner_text()
    assert "heart rate 60/min" in page.locator("#viewer-about").inner_text()
    beside = page.locator("#viewer-about-nearest").inner_text()
    assert "simulated record v2 (train)" in beside
    assert "near: similarity 0.960, shifted by 0.50 s, 0.100 mV apart" in beside
    assert page.locator("#viewer-sheet-nearest canvas").first.is_visible()
    assert page.title() == "Does <script>alert(1)</script> help?"
    assert page.locator("img[src=x]").count() == 0


def test_beats_are_drawn_whole_and_to_scale(visit):
    page = visit("index.html")
    choose(page, "set", "synthetic: gen")
    choose(page, "layout", "12 rows")
    choose(page, "gain", "10 mm/mV")
    choose(page, "zoom", "200 %")
    dark, shown = ink(page)
    assert shown == pytest.approx(2 * 280 * 96 / 25.4, abs=1)  # CSS millimetres, twice
    scale = dark.shape[1] / 280
    label = page.locator("#viewer-sheet canvas").first.get_attribute("aria-label")
    assert label.startswith("12-lead ECG: SR · synthetic record")
    # The first beat of each row is 3 mV, so 30 mm high; nothing leaves the sheet.
    rows = np.flatnonzero(dark[:, round(36.5 * scale) : round(38.5 * scale)].any(axis=1))
    beats = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    assert [np.ptp(beat) / scale for beat in beats] == pytest.approx([30] * 12, abs=0.6)
    assert not dark[: round(0.8 * scale)].any()


def test_gain_is_halved_where_waves_need_it(visit, folder):
    page = visit("index.html")
    choose(page, "set", "synthetic: gen")
    choose(page, "layout", "12 rows")
    height = page.evaluate("document.querySelector('#viewer-sheet canvas').clientHeight")
    width = page.evaluate("document.querySelector('#viewer-sheet canvas').clientWidth")
    assert height / width * 280 <= 175.5
    choose(page, "gain", "10 mm/mV")
    assert page.evaluate("document.querySelector('#viewer-sheet canvas').clientHeight") > 1.8 * height


def test_a_sheet_wider_than_its_frame_says_that_it_scrolls(visit):
    page = visit("index.html", viewport={"width": 390, "height": 844})
    hint = """() => { const sheet = document.querySelector("#viewer-sheet");
    return [sheet.scrollWidth > sheet.clientWidth, getComputedStyle(sheet, "::after").content]; }"""
    wide, text = page.evaluate(hint)
    assert wide
    assert "scroll sideways" in text
    page = visit("index.html")
    assert page.evaluate(hint) == [False, "none"]
    choose(page, "zoom", "400 %")
    assert "scroll sideways" in page.evaluate(hint)[1]


def test_calipers_measure_by_mouse_and_by_keyboard(visit):
    page = visit("index.html")
    choose(page, "zoom", "200 %")
    page.focus("#viewer-sheet")
    page.keyboard.press("c")
    read = page.locator("#viewer-reading")
    assert read.inner_text() == "Calipers: 800 ms, 75/min, 1.00 mV"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert read.inner_text() == "Calipers: 810 ms, 74/min, 1.13 mV" or "1.12 mV" in read.inner_text()
    page.focus("#viewer-calipers")
    page.keyboard.press("ArrowLeft")
    assert read.inner_text().startswith("Calipers: 810 ms")
    page.locator("#viewer-sheet").scroll_into_view_if_needed()
    box = page.locator("#viewer-sheet").bounding_box()
    x, y, mm = box["x"] + 100, box["y"] + 100, 2 * 96 / 25.4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10 * mm, y + 5 * mm)
    page.mouse.up()
    assert read.inner_text() == "Calipers: 400 ms, 150/min, -0.50 mV"
    page.keyboard.press("c")
    assert read.inner_text() == ""


@pytest.mark.parametrize("name", ["index.html", "blind.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_fault_of_accessibility(visit, name, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(name, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    page.wait_for_timeout(300)
    found = axe.Axe().run(page)
    faults = [
        f"{fault['id']}: {fault['help']}: {node['html'][:200]} ({node['failureSummary']})"
        for fault in found.response["violations"]
        for node in fault["nodes"][:3]
    ]
    assert not faults, "\n".join(faults)
    assert len(found.response["passes"]) > 10


@pytest.mark.parametrize("name", ["index.html", "blind.html"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(visit, name, scheme):
    page = visit(name, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    dark, _ = ink(page, ".sheet canvas")
    assert (dark.mean() > 0.5) == (scheme == "dark")


WIDE = """[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth + 1)"""


@pytest.mark.parametrize("width", [390, 1280])
def test_wide_tables_scroll_and_say_so_and_none_is_wide_on_a_desktop(visit, width):
    page = visit("index.html", viewport={"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    page.wait_for_timeout(300)
    wide = page.evaluate(f"{WIDE}.map((box) => [box.className, box.tabIndex, box.getAttribute('aria-label')])")
    assert (len(wide) > 0) == (width == 390)
    for classes, place, label in wide:
        assert classes == "scroll wide"
        assert place == 0
        assert label.endswith("(scrolls sideways)")


TEXTS = """() => { const frame = document.querySelector("svg").getBoundingClientRect(), faults = [];
  const texts = [...document.querySelectorAll("text")].map((own) => [own.textContent, own.getBoundingClientRect()]);
  texts.forEach(([text, box], place) => {
    const aside = Math.max(frame.left - box.left, box.right - frame.right);
    const over = Math.max(aside, frame.top - box.top, box.bottom - frame.bottom);
    if (over > 1) faults.push(`${text}: cut by ${over.toFixed()} px`);
    for (const [other, beside] of texts.slice(place + 1)) {
      const width = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
      const height = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
      if (width > 2 && height > 4) faults.push(`${text} lies over ${other}`);
    }
  });
  return faults; }"""


def drawn_anew(tables):
    """Return the figures of a report whose generator, dataset and rhythms have long names."""
    long = {"gen": "a_generator_with_a_long_name", "a": "a_dataset_with_a_long_name"}
    found = {}
    for name in ("summary", "comparisons", "confusion"):
        table = pd.read_parquet(tables / f"{name}.parquet")
        for column in {"generator", "dataset", "tested"} & set(table):
            table[column] = table[column].replace(long)
        if name == "comparisons":
            other = table.assign(generator=table["generator"].replace(long["gen"], "other"))
            rows = at_most_real(pd.concat([table, other]), "augmentation", [long["gen"], "other"])
            groups = {long["a"]: effects.heading(rows, patients=True)}
            panels = [
                effects.Panel("Synthetic records added, and simple baselines", rows),
                effects.Panel("Tuned", rows),
            ]
            found |= {"wide": effects.draw(panels, groups), "narrow": effects.draw(panels, groups, narrow=True)}
        elif name == "summary":
            tuned = table[table["setting"] == "frozen"].assign(fraction=0.2)
            found["curves"] = figures.learning_curves(pd.concat([table, tuned]), "macro_f1")
            found["rhythms"] = figures.class_scores(table, ("SR", "AFIB", "SVTAC"))
        else:
            found["confusion"] = figures.confusion_matrices(table, ("SR", "AFIB", "SVTAC"))
    return found


def test_no_text_of_a_figure_is_cut_or_lies_over_another(browser, folder, results):
    html = (folder / "index.html").read_text(encoding="utf-8")
    found = re.findall(r'(?:src|srcset)="data:image/svg\+xml,([^"]*)"', html)
    drawings = {f"figure {place}": urllib.parse.unquote(text) for place, text in enumerate(found, 1)}
    drawings |= drawn_anew(results.tables)
    assert len(drawings) > 15
    page = browser.new_page(viewport={"width": 1500, "height": 1500})
    faults = {}
    for name, drawing in drawings.items():
        page.set_content(f"<body style='margin: 80px'>{drawing}")
        faults[name] = page.evaluate(TEXTS)
    page.close()
    assert {name: found for name, found in faults.items() if found} == {}


def test_nothing_overlaps_in_the_forest_plot_on_a_phone(visit):
    page = visit("index.html", viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    rows = page.evaluate(
        """[...document.querySelectorAll('.forest-table tbody tr:not(.group)')].map((row) => [...row.children].map(
        (cell) => { const range = document.createRange(); range.selectNodeContents(cell);
        const box = range.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; }))"""
    )
    assert rows
    for cells in rows:
        boxes = [box for box in cells if box[2] > box[0]]
        assert len(boxes) == 5
        for place, (left, top, right, bottom) in enumerate(boxes):
            assert right <= 390
            for other in boxes[place + 1 :]:
                assert right <= other[0] + 1 or other[2] <= left + 1 or bottom <= other[1] + 3 or other[3] <= top + 3


def in_order(names):
    """Say whether figures are numbered 1, 2.1, 2.2, 3 ... without a gap."""
    found = [tuple(int(part) for part in name.split(".")) for name in names]
    steps = itertools.pairwise([(0,), *found])
    return len(found) > 3 and all(
        after in ((before[0] + 1,), (before[0] + 1, 1), (*before[:1], before[-1] + 1) if len(before) > 1 else None)
        for before, after in steps
    )


def test_no_figure_number_is_missing_on_the_screen(visit):
    page = visit("index.html")
    shown = page.locator("strong:text-matches('^Figure')").evaluate_all(
        "found => found.filter((own) => own.checkVisibility()).map((own) => own.textContent)"
    )
    majors = [int(re.match(r"Figure (\d+)", text)[1]) for text in shown]
    assert majors == list(range(1, len(majors) + 1))
    every = page.locator("strong:text-matches('^Figure')").all_text_contents()
    assert len(every) > len(shown)
    assert in_order([text.removeprefix("Figure ").rstrip(".") for text in every])


def test_print_opens_folds_and_closes_them_again(visit, tmp_path):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: the printed page is not read")
    page = visit("index.html")
    folds = page.locator("details").count()
    page.pdf(path=tmp_path / "r.pdf", prefer_css_page_size=True)
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert folds > 5
    assert page.locator("details[open]").count() == 0
    assert "Adding synthetic records of gen to the real ones" in text
    assert "bootstrap: 100" in text
    assert in_order(re.findall(r"Figure ([\d.]+)\. ", text))
    header = next(line for line in text.splitlines() if "Trained on" in line and "Verdict" in line and "Note" in line)
    assert header.split()[-1] == "Note"


def test_nothing_printed_is_cut_at_the_edge(visit, tmp_path):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: the printed page is not read")
    page = visit("index.html")
    page.pdf(path=tmp_path / "r.pdf", prefer_css_page_size=True)
    arguments = ["pdftotext", "-bbox", tmp_path / "r.pdf", "-"]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    pages = re.findall(r'<page width="([\d.]+)" height="[\d.]+">(.*?)</page>', text, re.DOTALL)
    assert len(pages) > 5
    for width, words in pages:
        boxes = re.findall(r'<word xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)" yMax="[\d.-]+">(.*?)</word>', words)
        margin = 27  # points: 10 mm, that of the ECGs, less a hair
        assert [
            word for left, right, word in boxes if float(left) < margin or float(right) > float(width) - margin
        ] == []


def test_printed_sheets_have_their_true_size(visit, tmp_path):
    if shutil.which("pdftoppm") is None:
        pytest.skip("pdftoppm (poppler-utils) is not installed: the printed page is not measured")
    page = visit("index.html")
    page.pdf(path=tmp_path / "r.pdf", prefer_css_page_size=True, print_background=True)
    info = subprocess.run(
        ["pdfinfo", "-l", "99", tmp_path / "r.pdf"], capture_output=True, text=True, check=True
    ).stdout
    sizes = re.findall(r"Page +(\d+) size: +([\d.]+) x ([\d.]+)", info)
    wide = [number for number, width, height in sizes if float(width) > float(height)]
    assert len(wide) >= 3  # what the viewer shows, and an example of each set
    from matplotlib.image import imread

    found = []
    for number in wide:
        arguments = ["-r", "254", "-f", number, "-l", number, "-png", "-singlefile", tmp_path / "r.pdf", tmp_path / "p"]
        subprocess.run(["pdftoppm", *arguments], check=True)
        picture = imread(tmp_path / "p.png")[..., :3]
        pink = picture[..., 0] - picture[..., 2] > 0.05
        if pink.any():
            found.append([np.ptp(np.flatnonzero(pink.any(axis=axis))) / 10 for axis in (0, 1)])
    assert len(found) == 3
    heights = [float(value) for value in re.findall(r'width="270mm" height="([\d.]+)mm"', page.content())]
    assert [height for _, height in found[1:]] == pytest.approx(heights, abs=0.4)
    assert [width for width, _ in found] == pytest.approx([270] * 3, abs=0.4)
    assert found[0][1] % 5 == pytest.approx(0, abs=0.4) or found[0][1] % 5 > 4.6


def test_blind_test_from_first_ecg_to_score(visit, folder, tmp_path):
    page = visit("blind.html")
    key = json.loads((folder / "blind_key.json").read_text(encoding="utf-8"))
    items = list(key["items"].values())
    assert page.locator("#blind-save").is_disabled()
    page.fill("#blind-reader", "Dr <b>A</b>")
    page.focus("#blind-sheet")
    for item in items[:-1]:
        page.keyboard.press("r" if item["real"] else "s")
        page.keyboard.press(str(key["classes"].index(item["rhythm"]) + 1))
        page.keyboard.press("n")
    assert page.locator("#blind-done").inner_text() == f"{len(items) - 1} of {len(items)} judged"
    page.get_by_label("synthetic", exact=False).check()
    with page.expect_download() as waiting:
        page.click("#blind-save")
    assert waiting.value.suggested_filename == "blind_answers_Dr_b_A_b_.json"
    path = tmp_path / "answers.json"
    waiting.value.save_as(path)
    found = score([path], folder / "blind_key.json").scores
    rows = found[(found["rhythm"] == "all") & (found["measure"] == "rhythm named right")]
    assert (rows["value"] == 1).all()
    last_right = not items[-1]["real"]
    accuracy = found[(found["rhythm"] == "all") & (found["measure"] == "accuracy")]["value"].iloc[0]
    assert (accuracy == 1) == last_right
    assert found["reader"].unique().tolist() == ["Dr <b>A</b>"]
    # Another visit goes on from the saved file.
    other = visit("blind.html")
    other.set_input_files("#blind-load", path)
    api.expect(other.locator("#blind-note")).not_to_be_empty()
    assert other.locator("#blind-done").inner_text() == f"{len(items)} of {len(items)} judged"
    (tmp_path / "wrong.json").write_text("{}")
    other.set_input_files("#blind-load", tmp_path / "wrong.json")
    api.expect(other.locator("#blind-note")).to_contain_text("no answers")


def test_answers_survive_a_reload(visit):
    page = visit("blind.html")
    page.keyboard.press("s")
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    assert page.locator("#blind-done").inner_text().startswith("1 of ")
