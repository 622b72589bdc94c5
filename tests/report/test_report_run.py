"""The page: whole, self-contained, escaped, accessible, the same again; and clear about what is not there."""

import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest

from ecgpipe.files import write_json
from ecgpipe.report.ecgs import MAX_ECGS
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.made import drafts
from ecgpipe.report.run import build_report
from ecgpipe.tables.verdicts import verdicts_table

VOID = {"meta", "img", "input", "br", "link", "circle", "line", "path", "rect", "source"}


class Page(HTMLParser):
    """Collects a page's elements and text, and checks that tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["pre"], ["script"]):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def make(results, out, **changes):
    arguments = {
        "tables": results.tables,
        "data": results.data,
        "samples": results.samples,
        "models": results.models,
        "beside": False,
        "git": {"commit": "c" * 40, "date": "2026-01-02T03:04:05Z", "changed": 1},
    }
    config = changes.pop("config", results.config)
    build_report(config, **{**arguments, **changes}, out=out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def html(results, folder):
    return make(results, folder / "index.html", beside=True)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def squeezed(text):
    return re.sub(r"\s+", " ", text)


def test_page_needs_no_network_and_runs_only_its_own_script(page, html, folder):
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object"}
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            linked = tag == "a" and value.startswith(
                ("https://arxiv.org/", "https://doi.org/", "https://physionet.org/", "https://www.jstor.org/")
            )
            beside = tag == "a" and (folder / value.split("#")[0]).is_file()
            assert value.startswith(("#", "data:image/svg+xml,")) or linked or beside, value
        assert not any(name.startswith("on") for name in attributes)
    scripts = page.all("script")
    assert scripts == [{"type": "application/json", "id": "ecg-data"}, {}]
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    text = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in policy
    assert "http://www.w3.org" not in text
    assert "fetch(" not in text
    outside = re.sub(r'(src|srcset)="data:[^"]*"', "", html)
    assert "@import" not in outside
    assert "url(" not in outside


def test_text_from_outside_is_escaped(page, html):
    assert html.count("<script") == 2
    assert "Does <script>alert(1)</script> help?" in page.text
    assert '"name":"v\\u003c1\\u003e"' in html  # a record's name
    assert "v<1>" not in html


def test_page_opens_with_the_notice_and_the_answer(page):
    text = squeezed(page.text)
    answer = text.index("No gain was shown. This study could only have seen gains of 0.")
    assert text.index("Simulated data.") < answer < text.index("How to read it", 500)
    assert text.index("Does pre-training on synthetic records help?") < text.index("What this rests on")
    assert "a: 32 records of 32 patients, of which 30 (30 patients) are for testing." in text
    assert "7 seeds were used, where the paper used 20." in text
    assert "a has fewer than 10 test patients of SVTAC (0), too few to count." in text
    assert "SR = sinus rhythm, AFIB = atrial fibrillation, SVTAC = supraventricular tachycardia." in text
    assert (
        "Adding synthetic records of gen to the real ones: with 20 % of the real training records, macro F1 rose"
        in text
    )
    assert "Simulated records say nothing about patients." in text


def test_patients_are_counted_only_where_they_are_named(results, configure, tmp_path):
    folder = {"format": "challenge", "source": {"kind": "folder", "path": "/records"}}
    config = configure(dataset_settings={"a": folder})
    parts = {"data": results.data, "samples": results.samples, "models": results.models}
    build_report(config, tables=results.tables, **parts, git=None, out=tmp_path / "index.html")
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    text = squeezed(page.text)
    assert "a: 32 records, of which 30 are for testing (which are of one patient is not known)." in text
    assert "a has fewer than 10 test records of SVTAC (0), too few to count." in text
    assert "not known: each record counts as a patient" in text
    figure = (tmp_path / "figures" / "effects.svg").read_text(encoding="utf-8")
    assert "a: 30 test records; real only" in figure
    assert not re.search(r"\d+ patients?\b", text.replace("fewer than 10 test patients", ""))


def test_records_are_accounted_for(page, html):
    text = squeezed(page.text)
    losses = "Records left out of a. 12 of 14 records were kept (86 %). Left out: 2 flat_lead (<b>x</b>: I)."
    assert text.index("Simulated data.") < text.index(losses) < text.index("The answer")
    assert "<b>x</b>" not in html
    assert "14 records were read: 12 kept, 2 left out. 3 of those kept had several" in text
    assert "AFIB + SR: 3" in text
    assert "flat_lead" in text
    assert "a lead without signal" in text


def drawn(page):
    return sum(attributes.get("viewbox", "").startswith("0 0 270") for attributes in page.all("svg"))


def test_one_example_of_each_set_is_drawn_for_print(page):
    assert drawn(page) == 2
    assert "a, SR: simulated, record t0." in page.text
    assert "a, SR: synthetic, gen, record s0." in page.text


def test_page_can_be_read_without_seeing_it(page):
    assert page.all("html")[0]["lang"] == "en"
    assert all(len(a["alt"]) > 20 for a in page.all("img"))
    assert len(page.all("img")) == 5
    assert all("scope" in a for a in page.all("th"))
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")} <= targets
    labelled = {name for name, a in page.elements if name in ("select", "button") and a.get("id", "").startswith("v")}
    assert labelled == {"select", "button"}
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_figures_are_numbered_in_the_text(page):
    numbers = [int(number) for number in re.findall(r"Figure (\d+)[. ]", page.text)]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert numbers == sorted(numbers)
    # The viewer has a number and no caption, the folded table of comparisons a caption and no number.
    assert len(numbers) == len(page.all("figcaption"))
    assert len(numbers) > 5


def test_page_says_how_it_was_made(page, html, results):
    text = squeezed(page.text)
    assert "c" * 40 in text
    assert "with changes in 1 file that are not in it" in text
    assert "tables/summary.parquet" in text
    assert "samples/a/gen/signals.npy" in text
    assert "bootstrap: 100" in html
    assert str(results.root) not in html


def test_page_says_whether_intervals_cover_the_chance_in_generators(results, html, tmp_path):
    assert (
        "No interval covers the randomness of training and sampling a generator, since each has one repetition" in html
    )
    tables = tmp_path / "tables"
    shutil.copytree(results.tables, tables)
    comparisons = pd.read_parquet(tables / "comparisons.parquet").assign(repetitions=3)
    comparisons.to_parquet(tables / "comparisons.parquet")
    several = make(results, tmp_path / "several.html", tables=tables)
    assert "No interval covers the randomness" not in several
    assert "over the 3 repetitions of the generator and test patients" in several
    assert "resample seeds (or the repetitions of the generator that they learned from) and test patients" in several


def test_page_says_which_generators_used_drafts(html, results, tmp_path):
    said = "With drafts of beats (draft: beats): gen on a (4 training records, in which no beats were found, without)."
    assert said in html
    models = {}
    for name, facts in {"pure": {"draft": "none"}, "control": {}, "other": {"draft": "none"}}.items():
        write_json(tmp_path / name / "model.json", facts)
        models["a", name] = tmp_path / name
    inputs = Inputs(results.config, results.tables, results.data, results.samples, models, None)
    assert drafts(inputs) == ["Whole records (draft: none): other on a, pure on a."]


def test_same_input_same_page(results, html, tmp_path):
    assert make(results, tmp_path / "index.html") == html


def test_missing_generator_results_are_told(results, configure, tmp_path):
    config = configure(generators=["gen", "other"])
    models = {**results.models, ("a", "other"): tmp_path / "other"}
    samples = {("a", "gen"): tmp_path / "a" / "gen"}
    html = make(results, tmp_path / "r.html", config=config, samples=samples, models=models, git=None)
    text = squeezed(Page(html).text)
    assert (
        "no augmentation results of other on a; no transfer results of other on a; no samples of gen for a; "
        "no samples of other for a" in text
    )
    assert "No synthetic records were found" in text
    assert "not a git checkout" in text
    assert "No training history" not in text
    bare = make(results, tmp_path / "bare.html", samples={}, models={})
    assert "No training history" in squeezed(Page(bare).text)


def test_a_merge_of_pooled_samples_is_drawn_through_its_members(results, configure, tmp_path):
    source = configure().dataset_settings["a"].model_dump(mode="json", exclude_none=True)
    other = {**source, "source": {**source["source"], "seed": source["source"]["seed"] + 1}}
    both = {"a": source, "b": other, "ab": {"merge": ["a", "b"]}}
    config = configure(datasets=["a", "ab"], dataset_settings=both)
    data = {**results.data, "ab": results.data["a"], "b": results.data["a"]}
    folder = results.samples["a", "gen"]
    page = Page(
        make(
            results,
            tmp_path / "r.html",
            config=config,
            data=data,
            samples={("a", "gen"): folder, ("ab", "gen"): folder},
        )
    )
    assert drawn(page) == 2
    assert "a, ab, b consist of ECGs" in squeezed(page.text)
    alone = Page(make(results, tmp_path / "r.html", config=config, data=data, samples={("ab", "gen"): folder}))
    assert drawn(alone) == 2
    trained = configure(
        datasets=["a", "ab"], dataset_settings={**both, "ab": {"merge": ["a", "b"], "synthetic": "trained"}}
    )
    page = Page(
        make(
            results,
            tmp_path / "r.html",
            config=trained,
            data=data,
            samples={("a", "gen"): folder, ("ab", "gen"): folder},
        )
    )
    assert drawn(page) == 4


def test_real_data_has_no_notice(results, configure, tmp_path):
    source = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    config = configure(dataset_settings={"a": {"format": "ptbxl", "source": source}})
    tables = shutil.copytree(results.tables, tmp_path / "tables")
    verdicts_table(pd.read_parquet(tables / "comparisons.parquet"), [], [], 0.95).to_parquet(
        tables / "verdicts.parquet"
    )
    page = Page(make(results, tmp_path / "r.html", config=config, tables=tables))
    assert "https://physionet.org/content/ptb-xl/1.0.3/" in [a["href"] for a in page.all("a")]
    text = squeezed(page.text)
    assert "imulated" not in text


def test_a_study_without_synthetic_records_has_a_report(results, tmp_path):
    for path in results.tables.glob("*.parquet"):
        table = pd.read_parquet(path)
        if path.stem == "comparisons":
            table = table.iloc[:0]
        elif "setting" in table:
            table = table[table["setting"] == "TrRTeR"]
        elif path.stem == "runtime":
            table = table.iloc[:0]
        table.to_parquet(tmp_path / path.name)
    text = squeezed(Page(make(results, tmp_path / "r.html", tables=tmp_path)).text)
    assert "Nothing was compared" in text
    assert "No benchmark was recorded" in text


def test_number_of_drawings_is_bounded(results, tmp_path, monkeypatch):
    assert MAX_ECGS * 30_000 < 1_000_000
    monkeypatch.setattr("ecgpipe.report.ecgs.MAX_ECGS", 1)
    assert drawn(Page(make(results, tmp_path / "r.html"))) == 1


def test_missing_tables_are_named(results, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\.parquet is missing: make the tables before the report"):
        make(results, tmp_path / "r.html", tables=tmp_path)
