"""What can be taken away: all files that the workflow promises, the same values in each form, columns described."""

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from closeness_rows import write_tables as write_closeness

from ecgpipe.prose.latex import latex_text
from ecgpipe.prose.methods import as_latex, cited
from ecgpipe.report.dictionary import TABLE_MEANINGS, described
from ecgpipe.report.names import DATASET_FIGURES, METHODS, TABLES, figure_names, table_files
from ecgpipe.report.run import build_report
from ecgpipe.report.takeaway import latex_table, write_tables
from ecgpipe.vocabulary import NO_SIGN


@pytest.fixture(scope="module")
def tables(results, tmp_path_factory):
    """Return a folder of all tables."""
    folder = tmp_path_factory.mktemp("tables")
    for path in results.tables.glob("*.parquet"):
        (folder / path.name).write_bytes(path.read_bytes())
    write_closeness(folder, NO_SIGN)
    return folder


@pytest.fixture(scope="module")
def report(results, tables, tmp_path_factory):
    """Return the folder of a report."""
    folder = tmp_path_factory.mktemp("report")
    parts = {"data": results.data, "samples": results.samples, "models": results.models}
    build_report(results.config, tables=tables, **parts, git=None, out=folder / "index.html")
    return folder


def test_every_promised_file_is_written(report):
    figures = [f"figures/{name}.{suffix}" for name in figure_names(["a"]) for suffix in ("svg", "pdf")]
    for name in (*table_files(), *figures, *METHODS):
        assert (report / name).stat().st_size > 20, name
    assert all((report / f"figures/a_{name}.pdf").read_bytes().startswith(b"%PDF") for name in DATASET_FIGURES)
    assert "nothing to draw" in (report / "figures" / "training.svg").read_text() or "training step" in (
        report / "figures" / "training.svg"
    ).read_text(encoding="utf-8")
    assert (report / "closeness" / "a" / "map.pdf").exists()


def test_the_page_shows_the_figures_that_lie_beside_it(report):
    from ecgpipe.report.svg import image

    page = (report / "index.html").read_text(encoding="utf-8")
    for name in ("effects", "a_confusion", "a_closeness"):
        assert image((report / "figures" / f"{name}.svg").read_text(encoding="utf-8")) in page
        assert f'href="figures/{name}.pdf"' in page
    assert 'href="references.bib"' in page


def test_every_column_of_every_table_is_described(tables):
    assert set(TABLE_MEANINGS) == set(TABLES)
    missing = [
        f"{name}.{column}"
        for name in TABLES
        for _, column, _, meaning in described(name, pd.read_parquet(tables / f"{name}.parquet"))
        if not meaning
    ]
    assert missing == []


def test_csv_and_parquet_hold_the_same(tables, tmp_path):
    write_tables(tables, tmp_path)
    for name in set(TABLES) - {"curves"}:
        table = pd.read_parquet(tables / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), table)
        read = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert list(read.columns) == list(table.columns)
        for column in table.select_dtypes("number"):
            np.testing.assert_allclose(read[column].astype(float), table[column].astype(float), rtol=1e-12)
    curve = pd.read_csv(tmp_path / "curves.csv")
    assert curve["x"].iloc[0] == "0 1 2 3"
    dictionary = pd.read_csv(tmp_path / "dictionary.csv")
    assert set(dictionary["table"]) == set(TABLES)
    assert dictionary.query("table == 'curves' and column == 'x'")["type"].item() == "list of numbers"


def test_only_the_forms_and_tables_asked_for_are_written(tables, tmp_path):
    written = write_tables(tables, tmp_path, forms=["csv"], names=["data", "curves", "comparisons"])
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in written} == {
        *("data.csv", "curves.csv", "comparisons.csv"),
        *("dictionary.csv", "dictionary.md"),
    }
    with pytest.raises(ValueError, match="unknown form of a table: word"):
        write_tables(tables, tmp_path, forms=["word"])
    with pytest.raises(FileNotFoundError, match="no table of a study here"):
        write_tables(tmp_path / "nothing", tmp_path)


def test_latex_is_escaped_and_in_the_style_of_booktabs():
    assert latex_text(r"50 % of #1 & {a}_b \x ~^ <") == (
        r"50 \% of \#1 \& \{a\}\_b \textbackslash{}x \textasciitilde{}\textasciicircum{} \textless{}"
    )
    assert latex_text("a--b ``c'' 1,,2 −5 µV ± 2 ≥ 3") == (r"a-{}-b `{}`c'{}' 1,{},2 $-$5 $\mu$V $\pm$ 2 $\geq$ 3")
    table = pd.DataFrame(
        {"a_b": ["x & y", "long " * 20], "value": [-0.123456, np.nan], "n": [3, -4], "simulated": [True, False]}
    )
    text = latex_table(table, "50 % of all", "tab:x")
    assert r"\begin{longtable}{p{5cm}rrl}" in text
    assert r"\caption{50 \% of all}\label{tab:x}" in text
    assert r"x \& y & $-$0.1235 & 3 & yes \\" in text
    assert r"-- & $-$4 & no \\" in text
    assert text.count(r"\toprule a\_b & value & n & simulated \\ \midrule") == 2
    assert r"\bottomrule" in text
    assert "LuaLaTeX" not in text
    assert "LuaLaTeX" in latex_table(table.assign(a_b="心電図"), "x", "tab:x")
    alike = latex_table(table.assign(n=[3, 3], value=np.nan), "Words.", "tab:x")
    assert r"\caption{Words. In all rows: value empty, n 3.}" in alike
    assert r"\toprule a\_b & simulated \\ \midrule" in alike
    assert "wider" not in alike
    assert "% wider than a page" in latex_table(
        pd.concat([table.add_suffix(str(i)) for i in range(9)], axis=1), "x", "y"
    )
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and line[0] not in "\\"]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {3}


def test_no_character_means_something_to_latex():
    """Left of commands and what they braces hold, nothing is left that TeX would act on."""
    printable = "".join(map(chr, range(32, 127)))
    escaped = latex_text(printable)
    plain = re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|\{\}", "", escaped)
    assert not set(plain) & set('\\&%$#_{}~^<>|"')
    assert plain == "".join(sorted(set(printable) - set('\\&%$#_{}~^<>|"')))


DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,longtable}
\begin{document}
%s
\end{document}
"""


def compiled(folder, body, *, bibtex=False):
    """Return the text of a LaTeX document; an error of LaTeX or BibTeX fails the test."""
    (folder / "document.tex").write_text(DOCUMENT % body, encoding="utf-8")
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document"]
    for command in [latex, ["bibtex", "document"], latex, latex] if bibtex else [latex]:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Warning--" not in done.stdout, done.stdout
    assert "undefined" not in done.stdout
    command = ["pdftotext", "-raw", "-enc", "UTF-8", "document.pdf", "-"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


needs_latex = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("pdflatex", "bibtex", "pdftotext")),
    reason="LaTeX (texlive-latex-recommended) or poppler-utils is not installed: tables and methods are not compiled",
)


@needs_latex
def test_every_table_compiles(report, tmp_path):
    names = [path.stem for path in sorted((report / "tables").glob("*.tex"))]
    assert len(names) > 10
    for name in names:
        shutil.copy(report / "tables" / f"{name}.tex", tmp_path)
    text = compiled(tmp_path, "\\clearpage\n".join(f"\\input{{{name}.tex}}" for name in names))
    assert all(f"Table {number}:" in text for number in range(1, len(names) + 1))


@needs_latex
def test_hostile_text_is_printed_as_it_is(tmp_path):
    printable = "".join(map(chr, range(33, 127)))
    texts = [printable[:50], printable[50:], r"\input{/etc/passwd} $x_1^2$ %", "−5 ≥ ½", "--- '' `` ,,", "^^M ~a~ é"]
    (tmp_path / "t.tex").write_text(latex_table(pd.DataFrame({"text": texts}), "50 % & more", "tab:x"), "utf-8")
    # The fonts decide whether straight quotes of a keyboard are printed as curly ones.
    found = compiled(tmp_path, r"\input{t.tex}").translate(str.maketrans("‘’", "`'"))
    for text in texts:
        assert re.sub(r"\s+", "", text) in re.sub(r"\s+", "", found)


@needs_latex
def test_methods_compile_with_their_references(report, tmp_path):
    for name in ("methods.tex", "references.bib"):
        shutil.copy(report / name, tmp_path)
    body = r"\input{methods.tex}\bibliographystyle{plain}\bibliography{references}"
    text = compiled(tmp_path, body, bibtex=True)
    assert "arXiv:2411.18456" in text
    assert "José Fernando Núñez" in text


def test_methods_are_those_of_the_config(report, results, configure, tables, tmp_path):
    text = (report / "methods.md").read_text(encoding="utf-8")
    assert "a, simulated by a dipole model" in text
    assert "(32 records of 32 patients, 30 of them for testing)" in text
    assert "each with 7 seeds" in text
    assert "100 bootstrap draws" in text
    entries = re.findall(r"^@\w+\{(\w+),", (report / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries == cited(text)
    assert "nunez2024" in entries
    assert "wagner2020" not in entries
    source = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    config = configure(
        dataset_settings={"a": {"format": "ptbxl", "source": source}},
        generators=["gen"],
        generator_settings={"gen": {"class": "mine.models:Own"}},
        experiments={
            "fractions": [1.0],
            "seeds": [0, 1],
            "settings": ["TrRTeR"],
            "transfer": {"fractions": []},
            "baselines": ["mixup"],
        },
    )
    parts = {"data": results.data, "samples": results.samples, "models": results.models}
    build_report(config, tables=tables, **parts, git=None, out=tmp_path / "index.html")
    other = (tmp_path / "methods.md").read_text(encoding="utf-8")
    assert "version 1.0.3 of PTB-XL [@wagner2020; @goldberger2000]" in other
    assert "gen (the class mine.models:Own)" in other
    assert "Networks were trained on 100 % of the real training records, each with 2 seeds." in other
    assert "pre-trained" not in other
    assert "mixup (records are mixed with others of their class)" in (tmp_path / "index.html").read_text("utf-8")
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "at each dataset’s largest share of the real training records" in page
    assert "Simple baselines</dt>" not in page
    assert "The same share and, in addition, all synthetic training records." in page


def test_methods_in_latex_cite_by_key():
    assert as_latex("5 % of a_b [@x; @y_z] and [@q].") == r"5 \% of a\_b \cite{x,y_z} and \cite{q}."
    assert json.dumps(cited("[@x; @y] [@x]")) == '["x", "y"]'
