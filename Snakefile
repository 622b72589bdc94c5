"""Do synthetic 12-lead ECGs help a rhythm classifier? The whole study, from raw PhysioNet records to the report."""

from snakemake.utils import min_version

min_version("9.3")


include: "rules/common.smk"
include: "rules/acquire.smk"
include: "rules/preprocess.smk"
include: "rules/generate.smk"
include: "rules/sample.smk"
include: "rules/classify.smk"
include: "rules/closeness.smk"
include: "rules/tables.smk"
include: "rules/report.smk"


onsuccess:
    remember_results()


onerror:
    remember_results()
    # With --keep-going all that does not depend on the failed jobs is done by now.
    if workflow.is_main_process and workflow.execution_settings.keep_going:
        shell(
            'python "${{ECGPIPE_SCRIPTS}}/partial.py" --settings {STUDY.described.file:q} '
            "--out {STUDY.results}/partial --log {STUDY.results}/logs/partial.log"
        )


localrules:
    all,
    download_plan,
    data,
    generators,
    samples,
    wfdb,
    classifiers,
    closeness,
    tables,
    report,


rule all:
    default_target: True
    input:
        rules.report_page.output,
        rules.result_tables.output,
        rules.closeness_tables.output,
    message:
        "{rule}: done"


rule data:
    input:
        expand(DATA, dataset=STUDY.config.datasets),
    message:
        "{rule}: done"


rule generators:
    input:
        [GENERATE.checksums.format(dataset=d, generator=g) for d, g in STUDY.models],
    message:
        "{rule}: done"


rule samples:
    input:
        [SAMPLE.checksums.format(dataset=d, generator=g) for d, g in STUDY.cells],
    message:
        "{rule}: done"


rule wfdb:
    input:
        [at(f"wfdb/{d}/{g}") for d, g in STUDY.cells],
    message:
        "{rule}: done"


rule classifiers:
    input:
        STUDY.classified(CHECKSUMS),
    message:
        "{rule}: done"


rule closeness:
    input:
        rules.closeness_tables.output,
    message:
        "{rule}: done"


rule tables:
    input:
        rules.result_tables.output,
        rules.closeness_tables.output,
    message:
        "{rule}: done"


rule report:
    input:
        rules.report_page.output,
    message:
        "{rule}: done"
