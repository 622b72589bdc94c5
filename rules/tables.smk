"""The study's numbers.

in: every predictions.parquet and training.parquet of the study, every dataset's records, the jobs' benchmarks
out: results/tables/*.parquet
"""

TABLES = [
    "classification",
    "transfer",
    "summary",
    "comparisons",
    "confusion",
    "data",
    "exclusions",
    "runtime",
]


rule result_tables:
    input:
        predictions=[
            f"results/classifiers/{f}/predictions.parquet"
            for f in STUDY.classifier_folders
        ],
        training=[
            f"results/classifiers/{f}/training.parquet"
            for f in STUDY.classifier_folders
        ],
        records=expand(
            "results/data/{dataset}/records.parquet", dataset=STUDY.config.datasets
        ),
        excluded=expand(
            "results/data/{dataset}/excluded.parquet", dataset=STUDY.config.datasets
        ),
    output:
        expand("results/tables/{table}.parquet", table=TABLES),
    log:
        "results/logs/tables.log",
    benchmark:
        "results/benchmarks/tables.jsonl"
    conda:
        "../envs/report.yaml"
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=STUDY.tables(),
        code=STUDY.code("tables"),
    shell:
        "python {SCRIPTS:q}/tables.py --predictions {input.predictions:q} --training {input.training:q} "
        "--records {input.records:q} --excluded {input.excluded:q} --benchmarks results/benchmarks "
        "--settings {params.settings:q} --out results/tables --log {log:q}"
