"""One self-contained page that a person wants to read.

in: results/tables/, and the data, samples and models that the page shows
out: results/report/index.html, results/report/closeness/{dataset}/{picture}.svg
"""

from ecgpipe.closeness.names import PICTURES


rule report_page:
    input:
        tables=rules.result_tables.output.tables,
        closeness=rules.closeness_tables.output.tables,
        summaries=expand(
            "results/data/{dataset}/summary.json", dataset=STUDY.config.datasets
        ),
        signals=expand(
            "results/data/{dataset}/signals.npy", dataset=STUDY.config.datasets
        ),
        samples=[
            f"results/samples/{d}/{g}/{f}"
            for d, g in STUDY.cells
            for f in ("signals.npy", "records.parquet")
        ],
        models=[
            f"results/generators/{d}/{g}/{f}"
            for d, g in STUDY.models
            for f in ("model.json", "history.parquet")
        ],
    output:
        page=report(
            "results/report/index.html",
            caption="../docs/captions/report.rst",
            category="Study",
        ),
        pictures=[
            report(
                f"results/report/closeness/{dataset}/{picture}.svg",
                caption="../docs/captions/closeness.rst",
                category="Closeness",
                subcategory=dataset,
                labels={"picture": picture},
            )
            for dataset in STUDY.config.datasets
            for picture in PICTURES
        ],
        provenance="results/report/provenance.json",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=60,
    params:
        # In a plain text Snakemake would look for wildcards.
        settings=lambda w: STUDY.described,
        code=STUDY.code("report"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/report.py" --settings {params.settings:q} --results results --out {output.page:q} '
        "--provenance {output.provenance:q} --code {params.code} --log {log:q}"
