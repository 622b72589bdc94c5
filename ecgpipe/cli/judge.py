"""``ecgpipe judge``: anybody's synthetic ECGs beside real ones."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgpipe.cli.options import ECGS

if TYPE_CHECKING:
    import pandas as pd

    from ecgpipe.closeness.records import Records
    from ecgpipe.judge.judgement import Judgement


class Unit(StrEnum):
    """Unit of arrays."""

    MV = "mV"
    UV = "uV"
    V = "V"


class Level(StrEnum):
    """Set of measures."""

    QUICK = "quick"
    FULL = "full"


Labels = typer.Option(help="CSV of record, label (and patient), for rows by class.")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    example = "ecgpipe judge real.npy synthetic.npy --train train.npy --rate 100 --html judged.html"
    app.command(rich_help_panel=ECGS, epilog=f"Example: {example}")(judge)


def judge(
    real: Annotated[Path, typer.Argument(help="Real ECGs: a .npy (n, 12, length) in mV, a WFDB folder, a dataset.")],
    synthetic: Annotated[Path, typer.Argument(help="Synthetic ECGs, in one of the same forms.")],
    train: Annotated[
        Path | None,
        typer.Option(
            help="Real ECGs the generator was trained on: REAL are then held-out ones, privacy is judged too. "
            "Without, the training records of REAL if that is a dataset."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page to look at.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the whole table, as .parquet or .csv.")] = None,
    utility: Annotated[
        bool, typer.Option("--utility", help="Also train classifiers: do they help? Needs labels.")
    ] = False,
    real_labels: Annotated[Path | None, Labels] = None,
    synthetic_labels: Annotated[Path | None, Labels] = None,
    train_labels: Annotated[Path | None, Labels] = None,
    rate: Annotated[float, typer.Option(help="Hz, of arrays and to bring WFDB records to.")] = 100.0,
    seconds: Annotated[float, typer.Option(help="Length to crop WFDB records to.")] = 10.0,
    unit: Annotated[Unit, typer.Option(help="Unit of .npy arrays.")] = Unit.MV,
    level: Annotated[Level, typer.Option(help="Set of measures.")] = Level.FULL,
    most: Annotated[int, typer.Option(min=2, help="Most records a side.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of choice, bootstrap, tests and trainings.")] = 0,
    steps: Annotated[int, typer.Option(min=5, help="Steps of each training of --utility.")] = 400,
    repetitions: Annotated[int, typer.Option(min=2, help="Trainings of each kind of --utility.")] = 5,
) -> None:
    """Judge synthetic ECGs beside real ones: how close they come, whether they are copies, whether they help."""
    from dataclasses import replace

    from ecgpipe.closeness.settings import Settings
    from ecgpipe.judge.judgement import judge as judged
    from ecgpipe.judge.sets import OWN_SPLITS, SEEN_RECORDS, Source, own_training, read

    given = {"real": (real, real_labels), "synthetic": (synthetic, synthetic_labels), "train": (train, train_labels)}
    if train is None and train_labels is not None:
        raise typer.BadParameter("there are labels and no --train", param_hint="--train-labels")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{out} must end in .csv or .parquet", param_hint="--out")
    sources = {name: Source(name, path, labels, unit) for name, (path, labels) in given.items() if path is not None}
    sets: dict[str, Records] = {}
    notes: list[str] = []
    if train is None and (own := own_training(sources["real"])) is not None:
        sources["train"] = own
        notes.append(OWN_SPLITS.format(path=real))
    if utility and "train" not in sources:
        notes.append(SEEN_RECORDS)
    for name, source in sources.items():
        sets[name], said = read(source, rate, seconds)
        notes += said
    asked = any(source.labels is not None for source in sources.values())
    if (asked or utility) and (without := [name for name, records in sets.items() if records.labels is None]):
        raise ValueError(f"measures by class and --utility need labels of every set: give --{without[0]}-labels too")
    found = judged(sets, Settings(level="full" if level is Level.FULL else "quick", most=most, seed=seed), notes)
    if utility:
        from ecgpipe.judge.utility import utility as helped

        table = helped(
            sets["real"], sets["synthetic"], sets.get("train"), steps=steps, repetitions=repetitions, seed=seed
        )
        found = replace(found, utility=table)
    _write(found, out)
    _print(found)
    if html is not None:
        from ecgpipe.judge import page

        page.write(found, html, {name: source.described for name, source in sources.items()}, seed)
        print(f"\nThe page: {html.resolve().as_uri()}")


def _write(found: Judgement, out: Path | None) -> None:
    from ecgpipe.files import write_parquet, write_text

    if out is not None and out.suffix == ".csv":
        write_text(out, found.closeness.to_csv(index=False))
    elif out is not None:
        write_parquet(out, found.closeness)


def _print(found: Judgement) -> None:
    for line in [*found.sentences(), *(f"WARNING: {note}" for note in found.notes)]:
        print(line)
    there = found.pooled["value"].notna()
    pooled = found.pooled[there].set_index("measure")
    pooled["standing"] = pooled["standing"].str.replace(" records", "")
    order = ["value", "low", "high", "standing", "floor", "floor_low", "floor_high", "unit", "n", "note"]
    print(f"\n{_table(pooled[order].fillna({'note': ''}))}")
    absent = found.pooled[~there]
    for note, rows in absent.groupby("note", sort=False):
        print(f"Not measured: {', '.join(rows['measure'])} ({note}).")
    if len(by_class := found.by_class.dropna(how="all")):
        print(f"\nby class:\n{_table(by_class)}")
    if found.privacy is not None:
        print(f"\nprivacy:\n{_table(found.privacy.pairs.set_index('synthetic'))}")
    if found.utility is not None:
        print(f"\nutility:\n{_table(found.utility.set_index(['trained_on', 'metric']))}")


def _table(frame: pd.DataFrame) -> str:
    """Return a table no wider than the terminal: what does not fit goes below, under the same index.

    A column ``x`` with ``x_low`` and ``x_high`` has its interval beside it, in brackets.
    """
    from ecgpipe.report.closeness_words import written

    shown = frame.copy()
    for low in [name for name in frame if str(name).endswith("low")]:
        high = str(low).removesuffix("low") + "high"
        ends = zip(frame[low], frame[high], strict=True)
        shown[low] = [f"[{written(a)}, {written(b)}]" if a == a else "" for a, b in ends]
        shown = shown.drop(columns=high).rename(columns={low: f"{str(low).removesuffix('low')}interval"})
    shown = shown.loc[:, (shown != "").any()]
    columns = shutil.get_terminal_size().columns
    # pandas ends all lines of a block but the last's with a blank and a backslash.
    text = shown.to_string(float_format=written, na_rep="–", line_width=columns, justify="right")
    return "\n".join(line.rstrip(" \\") for line in text.splitlines())
