"""Raw records in PhysioNet's own layout.

in: PhysioNet, a mirror, bucket, archive or local folder of it, or the simulator
out: {raw_dir}/{dataset}/ and its manifest {raw_dir}/{dataset}.parquet (path, bytes, sha256 of every file)
"""


rule acquire:
    output:
        manifest=f"{RAW}/{{dataset}}.parquet",
        provenance=f"{RAW}/{{dataset}}.provenance.json",
    log:
        "results/logs/acquire/{dataset}.log",
    benchmark:
        "results/benchmarks/acquire/{dataset}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.sourced),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=720,
    params:
        settings=lambda w: STUDY.acquisition(w.dataset),
        code=STUDY.code("acquire"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/acquire.py" --dataset {wildcards.dataset} --settings {params.settings:q} '
        "--manifest {output.manifest:q} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule download_plan:
    # Says how many files and bytes `acquire` would fetch now; fetches nothing.
    log:
        "results/logs/acquire/download_plan.log",
    conda:
        "../envs/data.yaml"
    params:
        # In a plain text Snakemake would look for wildcards.
        settings=lambda w: STUDY.acquisitions,
        raw=RAW,
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/plan.py" --settings {params.settings:q} --raw {params.raw:q} --log {log:q}'
