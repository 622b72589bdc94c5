"""How close synthetic ECGs come to real ones, whether they are plausible, and whether they are copies.

in: results/data/{dataset}/, results/samples/{dataset}/{generator}/, results/classifiers/{dataset}/real/pretrained.safetensors
out: results/closeness/{dataset}/{generator}/{closeness,privacy,copies,curves,points}.parquet
     results/closeness/{dataset}/{controls,curves,points}.parquet, in full studies privacy.parquet
     results/tables/{closeness,privacy,copies,curves,points}.parquet
"""

from ecgpipe.closeness.names import TABLES as CLOSENESS_TABLES


rule closeness_generator:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        synthetic_signals="results/samples/{dataset}/{generator}/signals.npy",
        synthetic_records="results/samples/{dataset}/{generator}/records.parquet",
        network=rules.classify_real.output.pretrained,
    output:
        tables=expand(
            "results/closeness/{{dataset}}/{{generator}}/{table}.parquet",
            table=CLOSENESS_TABLES,
        ),
        provenance="results/closeness/{dataset}/{generator}/provenance.json",
    log:
        "results/logs/closeness/{dataset}/{generator}.log",
    benchmark:
        "results/benchmarks/closeness/{dataset}/{generator}.jsonl"
    conda:
        "../envs/closeness.yaml"
    threads: THREADS
    resources:
        mem_mb=growing(3000),
        runtime=240,
    params:
        settings=STUDY.closeness(),
        code=STUDY.code("closeness"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/closeness.py" generator --data results/data/{wildcards.dataset} '
        "--samples results/samples/{wildcards.dataset}/{wildcards.generator} --network {input.network:q} "
        "--settings {params.settings:q} --out results/closeness/{wildcards.dataset}/{wildcards.generator} "
        "--threads {threads} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule closeness_controls:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        network=rules.classify_real.output.pretrained,
    output:
        tables=expand(
            "results/closeness/{{dataset}}/{table}.parquet",
            table=STUDY.control_parts.values(),
        ),
        provenance="results/closeness/{dataset}/provenance.json",
    log:
        "results/logs/closeness/{dataset}/controls.log",
    benchmark:
        "results/benchmarks/closeness/{dataset}/controls.jsonl"
    conda:
        "../envs/closeness.yaml"
    threads: THREADS
    resources:
        mem_mb=growing(3000),
        runtime=240,
    params:
        settings=STUDY.closeness(),
        code=STUDY.code("closeness"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/closeness.py" controls --data results/data/{wildcards.dataset} '
        "--network {input.network:q} --settings {params.settings:q} "
        "--out results/closeness/{wildcards.dataset} --threads {threads} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule closeness_tables:
    input:
        **{
            table: [f"results/closeness/{name}.parquet" for name in names]
            for table, names in STUDY.closeness_parts.items()
        },
    output:
        tables=expand("results/tables/{table}.parquet", table=CLOSENESS_TABLES),
        provenance="results/tables/closeness.provenance.json",
    log:
        "results/logs/closeness/tables.log",
    benchmark:
        "results/benchmarks/closeness/tables.jsonl"
    conda:
        "../envs/closeness.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=30,
    params:
        code=STUDY.code("closeness"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/closeness.py" tables --closeness {input.closeness:q} --privacy {input.privacy:q} '
        "--copies {input.copies:q} --curves {input.curves:q} --points {input.points:q} --out results/tables --provenance {output.provenance:q} --code {params.code} --log {log:q}"
