"""One self-contained page that a person wants to read.

in: results/tables/, and the data, samples and models that the page shows
out: results/report/index.html
"""


rule report_page:
    input:
        tables=rules.result_tables.output,
        closeness=rules.closeness_tables.output,
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
        report(
            "results/report/index.html",
            caption="../docs/captions/report.rst",
            category="Study",
        ),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        config=canonical(STUDY.config),
        code=STUDY.code(
            "report",
            files=[
                "report/template.html.j2",
                "report/closeness.html.j2",
                "report/style.css",
            ],
        ),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/report.py" --config {params.config:q} --results results --out {output:q} --log {log:q}'
