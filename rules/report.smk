"""One self-contained page that a person wants to read.

in: results/tables/, and the data, samples and models that the page shows
out: results/report/index.html, blind.html and blind_key.json (the blind test and its key);
    tables/ (Parquet, CSV, LaTeX, a data dictionary), figures/ and closeness/{dataset}/ (SVG, PDF),
    methods.md, methods.tex and references.bib to take away
"""

from ecgpipe.closeness.names import PICTURES
from ecgpipe.report.names import METHODS, figure_names, table_files

REPORT = JOBS["report_page"]


rule report_page:
    """Write the report."""
    input:
        checksums=[
            RESULT_TABLES.checksums,
            CLOSENESS.checksums,
            *expand(DATA, dataset=STUDY.config.datasets),
            *(SAMPLE.checksums.format(dataset=d, generator=g) for d, g in STUDY.cells),
            *(
                GENERATE.checksums.format(dataset=d, generator=g)
                for d, g in STUDY.models
            ),
        ],
        tables=ancient(rules.result_tables.output.tables),
        closeness=ancient(rules.closeness_tables.output.tables),
        data=ancient(
            expand(
                at("data/{dataset}/{file}"),
                dataset=STUDY.config.datasets,
                file=["summary.json", "signals.npy", "records.parquet"],
            )
        ),
        samples=ancient(
            [
                SAMPLE.path(file).format(dataset=d, generator=g)
                for d, g in STUDY.cells
                for file in SAMPLE_SET.values()
            ]
        ),
        models=ancient(
            [
                GENERATE.path(file).format(dataset=d, generator=g)
                for d, g in STUDY.models
                for file in ("model.json", "history.parquet")
            ]
        ),
    output:
        tables=[REPORT.path(file) for file in table_files()],
        figures=[
            REPORT.path(f"figures/{name}.{suffix}")
            for name in figure_names(STUDY.config.datasets)
            for suffix in ("svg", "pdf")
        ],
        closeness=[
            REPORT.path(f"closeness/{dataset}/{picture}.pdf")
            for dataset in STUDY.config.datasets
            for picture in PICTURES
        ],
        methods=[REPORT.path(file) for file in METHODS],
        provenance=REPORT.provenance,
        checksums=REPORT.checksums,
        page=report(
            REPORT.path("index.html"),
            caption="../docs/captions/report.rst",
            category="Study",
        ),
        blind=REPORT.path("blind.html"),
        blind_key=REPORT.path("blind_key.json"),
        pictures=[
            report(
                REPORT.path(f"closeness/{dataset}/{picture}.svg"),
                caption="../docs/captions/closeness.rst",
                category="Closeness",
                subcategory=dataset,
                labels={"picture": picture},
            )
            for dataset in STUDY.config.datasets
            for picture in PICTURES
        ],
    log:
        REPORT.log,
    benchmark:
        REPORT.benchmark
    conda:
        REPORT.conda
    resources:
        **resources(REPORT),
    params:
        # In a plain text Snakemake would look for wildcards.
        settings=lambda w: STUDY.described,
        shown=lambda w: STUDY.report_sources,
        code=STUDY.code(REPORT.script),
    message:
        REPORT.message
    shell:
        command(
            REPORT,
            "--settings {params.settings.file:q}",
            "--tables {results}/tables",
            "--shown {params.shown.file:q}",
            "--out {output.page:q}",
        )
