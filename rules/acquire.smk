"""Raw records in PhysioNet's own layout.

in: PhysioNet, a mirror, bucket, archive or local folder of it, or the simulator
out: {raw_dir}/{dataset}/ and its manifest {raw_dir}/{dataset}.parquet (path, bytes, sha256 of every file)
"""

ACQUIRE = JOBS["acquire"]


rule acquire:
    """Fetch one dataset's raw records, verified, and list them in a manifest."""
    output:
        manifest=STUDY.own(ACQUIRE.path("{dataset}.parquet")),
        provenance=STUDY.own(ACQUIRE.provenance),
        checksums=STUDY.own(ACQUIRE.checksums),
    log:
        ACQUIRE.log,
    benchmark:
        ACQUIRE.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.sourced),
    conda:
        ACQUIRE.conda
    resources:
        **resources(ACQUIRE),
    params:
        settings=lambda w: STUDY.acquisition(w.dataset),
        code=STUDY.code(ACQUIRE.script),
    message:
        ACQUIRE.message
    shell:
        command(
            ACQUIRE,
            "--dataset {wildcards.dataset}",
            "--settings {params.settings.file:q}",
            "--manifest {output.manifest:q}",
        )


rule download_plan:
    """Say how many files and bytes `acquire` would fetch now; fetch nothing."""
    log:
        at("logs/acquire/download_plan.log"),
    conda:
        ACQUIRE.conda
    params:
        # In a plain text Snakemake would look for wildcards.
        settings=lambda w: STUDY.acquisitions,
        raw=STUDY.raw,
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/download_plan.py" '
        "--settings {params.settings.file:q} --raw {params.raw:q} --log {log:q}"
