"""The parts of docs/results.md about seven rhythms and about rotated folds, from runs of their own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from results_kept import COUNTED
from results_short import CONTROL, answer
from results_tables import by_share
from results_text import Tables, between, committed, copying, judged, of, older, percent, table, tally

from ecgpipe.config import Config
from ecgpipe.prose.findings import plural
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.tables.influence import FEWEST
from ecgpipe.vocabulary import (
    AGAINST_BASELINE,
    AUGMENTATION,
    AUGMENTED,
    CANNOT_TELL,
    HARMS,
    HELPS,
    PRIMARY,
    REAL,
    SIMPLE_BASELINE,
)

SEVEN_CONFIG = "configs/ptbxl_derived_seven.yaml"
ROTATED_CONFIG = "configs/ptbxl_derived_rotated.yaml"

SEVEN = """## All seven rhythms

Above, the rhythms are merged to four. In a run of its own (`{config}`, commit {commit}, {hours} hours of CPU time)
generators and classifiers learn the study's seven rhythms from the same records, in the same splits.{judged} It is a
smaller run: {seeds} seeds, the shares {shares}, each generator trained once, with all training records.

{rare}

"""

RARE = (
    "**Whether synthetic records help to recognise {rhythms}, these records cannot tell**: {numbers}. They are learnt "
    "and drawn like the others, but a rhythm needs {fewest} test patients for a verdict. A generator that knows a "
    "record or two of a rhythm can hardly draw anything else than these. The macro averages that are compared below, "
    "in this section, are those of the other {others}."
)

RHYTHMS = (
    "F1 by rhythm of networks that learn from all real records, and of those to which all synthetic records are added, "
    "with intervals over seeds and patients. No test compares these rows. *Cannot tell*: the rhythm has too few test "
    "patients for any statement.\n\n"
)

ROTATED = """## Every record tested

Above, {once} of the {kept} records are tested. In a run of its own (`{config}`, commit {commit}, {hours} hours of CPU
time) the folds rotate {number} times, so that all {all} records of {patients} patients are tested, each by networks,
and with a generator, that saw no record of its patient.{judged} A rotation learns from about {learnt} records, which
is more than the {before} above: the two runs do not ask quite the same question. There are {seeds} seeds and one
generator (`{generator}`), all training records are used, and the only simple baseline is {baselines}. The patients'
part of the variance is corrected for the overlap of training sets ([rotated folds](statistics.md#rotated-folds)). The
generator was trained once in each rotation, which averages its chance, but no interval covers it.

"""


SHOWN = {HELPS: "better", HARMS: "worse"}


def _hours(tables: Tables) -> str:
    return f"{tables['runtime']['cpu_seconds'].sum() / 3600:.1f}"


def _by_class(tables: Tables, column: str) -> pd.DataFrame:
    """Return records or patients by rhythm and split."""
    data = tables["data"]
    return data[(data["class"] != "all")].pivot(index="class", columns="split", values=column)


def rare(tables: Tables) -> dict[str, int]:
    """Return the test patients of the rhythms that have too few for a verdict."""
    patients = _by_class(tables, "patients")["test"]
    return {str(name): int(n) for name, n in patients.items() if n < FEWEST}


def in_short(further: Mapping[str, Tables]) -> list[str]:
    """Return a sentence about each of the runs that there are."""
    lines = []
    if "seven" in further:
        own = of(further["seven"]["comparisons"], AUGMENTATION)
        own = own[own["generator"] != CONTROL]
        told = f"; {listed([*few])} are too rare to tell" if (few := rare(further["seven"])) else ""
        lines.append(
            "**With all seven rhythms** ([a run of its own](#all-seven-rhythms)), adding synthetic records "
            f"{tally(own['verdict'])} of {len(own)} against real records alone{told}."
        )
    if "rotated" in further:
        own = of(further["rotated"]["comparisons"], AUGMENTATION)
        for row in own.to_dict("records"):
            lines.append(
                "**With every record tested** ([a run of its own](#every-record-tested)), adding the synthetic records "
                f"of `{row['generator']}` to all real ones changes {METRIC_NAMES[PRIMARY]} by "
                f"{signed(row['difference'], 3)} {bounds(row['low'], row['high'])}: {row['verdict']}."
            )
    return lines


def _told_of(tables: Tables, few: Mapping[str, int]) -> str:
    """Say which rhythms have too few test patients."""
    if not few:
        return f"All rhythms have {FEWEST} test patients or more."
    learnt = _by_class(tables, "records")["train"]
    numbers = [
        f"{name} has {plural(int(learnt[name]), 'training record')} and {plural(n, 'test patient')}"
        for name, n in few.items()
    ]
    others = len(learnt) - len(few)
    return RARE.format(rhythms=listed([*few]), numbers=listed(numbers), fewest=FEWEST, others=others)


def by_rhythm(tables: Tables, config: Config) -> str:
    """Return the table of single rhythms: records, and F1 without and with synthetic records at the full share."""
    records, patients = _by_class(tables, "records"), _by_class(tables, "patients")
    summary = tables["summary"]
    summary = summary[(summary["fraction"] == 1) & (summary["metric"] == "f1") & (summary["tested"] == "ptbxl")]
    generators = [name for name in config.generators if name != CONTROL]
    few = rare(tables)
    lines = []
    for name in records.index:
        own = summary[summary["class"] == name]
        real = own[own["setting"] == REAL].iloc[0]
        cells = [between(real)]
        for generator in generators:
            [row] = own[(own["setting"] == AUGMENTED) & (own["generator"] == generator)].to_dict("records")
            cells.append(between(row))
        counts = [str(records.loc[name, split]) for split in ("train", "validation", "test")]
        told = CANNOT_TELL if name in few else "compared"
        lines.append([str(name), *counts, str(patients.loc[name, "test"]), told, *cells])
    heads = ["rhythm", "train", "validation", "test", "test patients", "", "F1 real only"]
    return RHYTHMS + table([*heads, *(f"F1 + `{name}`" for name in generators)], lines)


def copied(tables: Tables) -> str:
    """Say how many of the copies are of rhythms that have too few records to be told of."""
    found = tables["privacy"][tables["privacy"]["measure"].isin(COUNTED)]
    every = int(found[found["class"] == "all"]["value"].sum())
    few = rare(tables)
    if not every or not few:
        return ""
    mine = int(found[found["class"].isin(few)]["value"].sum())
    return f"Of the {every:,} exact and near copies, {mine:,} are samples of {listed([*few])}.\n\n"


def seven(tables: Tables, whole: Tables, config: Config) -> str:
    """Return the section about seven rhythms.

    Args:
        tables: of the run.
        whole: of the page's own run, with four rhythms.
        config: of the run.
    """
    about, few = tables["about"].set_index("key")["value"], rare(tables)
    shares = listed([percent(share) for share in config.experiments.fractions])
    text = SEVEN.format(
        config=SEVEN_CONFIG,
        commit=committed(about),
        judged=judged(about) + older(about, whole["about"].set_index("key")["value"]),
        hours=_hours(tables),
        seeds=len(config.experiments.seeds),
        shares=shares,
        rare=_told_of(tables, few),
    )
    claims = [[str(r["conclusion"]), r["claim"], r["verdict"]] for r in tables["verdicts"].to_dict("records")]
    return (
        text
        + answer(tables)
        + by_share(tables, "[comparisons.csv](data/results_seven/comparisons.csv)")
        + by_rhythm(tables, config)
        + "Are the samples copies of training records?\n\n"
        + copying(tables["privacy"])
        + copied(tables)
        + "The paper's conclusions on these seven rhythms, over the rhythms that are compared; the evidence is in "
        "[verdicts.csv](data/results_seven/verdicts.csv):\n\n" + table(["", "arXiv 2411.18456", "this run"], claims)
    )


def _network(row: Mapping[str, object]) -> str:
    if row["experiment"] == SIMPLE_BASELINE:
        return BASELINE_NAMES[str(row["setting"])]
    return f"+ `{row['generator']}`, {row['ratio']}"


def rotated(tables: Tables, whole: Tables, config: Config) -> str:
    """Return the section about rotated folds.

    Args:
        tables: of the run.
        whole: of the page's own run, with one test split.
        config: of the run.
    """
    about, data = tables["about"].set_index("key")["value"], tables["data"]
    counts = data[data["class"] == "all"].set_index("split")
    once = whole["data"][whole["data"]["class"] == "all"].set_index("split")["records"]
    rows = of(tables["comparisons"], AUGMENTATION, SIMPLE_BASELINE, AGAINST_BASELINE)
    [number_of] = [settings.rotate or 1 for name, settings in config.dataset_settings.items()]
    text = ROTATED.format(
        config=ROTATED_CONFIG,
        commit=committed(about),
        judged=judged(about) + older(about, whole["about"].set_index("key")["value"]),
        hours=_hours(tables),
        once=f"{once['test']:,}",
        kept=f"{once['all']:,}",
        all=f"{rows['support'].iloc[0]:,.0f}",
        patients=f"{rows['patients'].iloc[0]:,.0f}",
        number=number_of,
        learnt=f"{counts['records']['train']:,}",
        before=f"{once['train']:,}",
        seeds=len(config.experiments.seeds),
        generator=config.generators[0],
        baselines=listed([BASELINE_NAMES[name] for name in config.experiments.baselines]),
    )
    before = whole["comparisons"]
    before = before[(before["metric"] == PRIMARY) & (before["fraction"] == 1)]
    keys = ["experiment", "setting", "generator", "ratio", "against"]
    before = before.set_index(keys)[["difference", "low", "high", "smallest_effect"]]
    lines = []
    for row in rows.to_dict("records"):
        key = tuple(row[name] for name in keys)
        split = before.loc[key] if key in before.index else None
        cells = (
            [f"{signed(split['difference'], 3)} {bounds(split['low'], split['high'])}"] if split is not None else ["–"]
        )
        cells.append(number(split["smallest_effect"], 3) if split is not None else "–")
        lines.append(
            [
                _network(row),
                BASELINE_NAMES.get(row["against"], str(row["against"])),
                f"{number(row['reference'], 2)} → {number(row['value'], 2)}",
                f"{signed(row['difference'], 3)} {bounds(row['low'], row['high'])}",
                number(row["smallest_effect"], 3),
                str(row["verdict"]),
                *cells,
            ]
        )
    heads = ["network", "against", "from → to", "difference", "smallest effect", "verdict"]
    heads += ["difference, one test split", "smallest effect, one test split"]
    return (
        text
        + _gain(rows)
        + f"{METRIC_NAMES[PRIMARY]}, all training records; on the right the same comparison of the page's own run.\n\n"
        + table(heads, lines)
        + _elsewhere(tables["comparisons"])
    )


def _gain(rows: pd.DataFrame) -> str:
    """Say what adding synthetic records did, and which gain the intervals leave."""
    lines = []
    for row in of(rows, AUGMENTATION).to_dict("records"):
        lines.append(
            f"* Adding the synthetic records of `{row['generator']}` to all real ones of the rotation: "
            f"{signed(row['difference'], 3)} {bounds(row['low'], row['high'])}, {row['verdict']}. A gain above "
            f"{number(row['high'], 3)} lies outside of the 95 % interval.\n"
        )
    return "".join(lines) + "\n"


def _elsewhere(comparisons: pd.DataFrame) -> str:
    """Return what was shown in other metrics than the primary one."""
    told = comparisons[(comparisons["metric"] != PRIMARY) & comparisons["verdict"].isin([HELPS, HARMS])]
    if told.empty:
        return "In the four other metrics no difference was shown.\n\n"
    lines = [
        f"* {METRIC_NAMES[row['metric']]}, {_network(row)} against "
        f"{BASELINE_NAMES.get(row['against'], row['against'])}: "
        f"{signed(row['difference'], 3)} {bounds(row['low'], row['high'])}, {SHOWN[row['verdict']]}.\n"
        for row in told.to_dict("records")
    ]
    return "Differences that were shown in other metrics:\n\n" + "".join(lines) + "\n"
