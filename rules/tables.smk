"""The study's numbers.

in: every predictions.parquet and training.parquet of the study, every dataset's records, the jobs' benchmarks
out: results/tables/*.parquet
"""

from ecgpipe.tables.names import TABLES


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
        # These jobs are in the table of run times too.
        closeness=rules.closeness_tables.input,
    output:
        tables=expand("results/tables/{table}.parquet", table=TABLES),
        provenance="results/tables/tables.provenance.json",
    log:
        "results/logs/tables.log",
    benchmark:
        "results/benchmarks/tables.jsonl"
    conda:
        "../envs/report.yaml"
    threads: THREADS
    resources:
        mem_mb=growing(6000),
        runtime=720,
    params:
        settings=STUDY.tables(),
        data=expand("results/data/{dataset}", dataset=STUDY.config.datasets),
        benchmarks=[f"results/benchmarks/{name}.jsonl" for name in STUDY.benchmarks],
        code=STUDY.code("tables"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/tables.py" --predictions {input.predictions:q} --training {input.training:q} '
        "--data {params.data:q} --benchmarks {params.benchmarks:q} "
        "--settings {params.settings:q} --out results/tables --provenance {output.provenance:q} --code {params.code} --log {log:q}"
