"""Are the verdicts right where the truth is known?

    python benchmarks/planted_truth.py              # measures everything: half an hour of one core
    python benchmarks/planted_truth.py --only tails # measures docs/data/tails.csv only: a minute
    python benchmarks/planted_truth.py --render     # writes the section of docs/statistics.md again

Simulated patients take the place of real ones, and the synthetic sets have a known value. The study's own nested
shares, training loop, early stopping and statistics are used, but a small network on features replaces the classifier
of signals. So the whole comparison can be repeated many times, each time with new patients.

========  ==================================================================  ======================================
truth     the synthetic records                                               right verdict
========  ==================================================================  ======================================
fresh     new patients from the same simulator                                helps at small shares
shuffled  new patients with shuffled labels                                   never helps
copies    the real training records in use, again                             no difference
memory    the whole real training split: a generator that memorised it        helps where only a share of it is in use
again     none: the real records only, other seeds                            no difference
========  ==================================================================  ======================================
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measuring import DATA, DOCS, markdown_table, parser, remembered, write_section
from planted_counts import CHOICE_CSV, RARE_CSV, choices, chosen, levels, rare_rhythms
from planted_tails import CSV as TAILS_CSV
from planted_tails import described, tails
from scipy import stats
from sklearn.metrics import f1_score
from torch import nn
from tqdm import tqdm

from ecgpipe.classify.inputs import InMemory
from ecgpipe.classify.subsets import subset
from ecgpipe.classify.training import fit, predict
from ecgpipe.config import ClassifierSettings
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient
from ecgpipe.tables.cells import Cell
from ecgpipe.tables.comparisons import comparisons_table
from ecgpipe.tables.draws import Draws
from ecgpipe.vocabulary import AUGMENTED, HARMS, HELPS, NO_DIFFERENCE, PRIMARY, REAL

CSV, FULL_CSV, NULL_CSV, BEFORE_CSV = (
    DATA / f"{name}.csv" for name in ("planted_truth", "full_share", "null_p_values", "planted_before")
)
PARTS = ("rare", "tails", "null", "truth", "full")
"""What is measured, in this order."""
CLASSES = tuple(RHYTHMS)
TRAIN, VALIDATION, TEST, FRESH = 210, 70, 280, 420
OTHERS = 2100
"""Further test patients, to check verdicts at the full share."""
FRACTIONS = (0.05, 0.1, 1.0)
SEEDS = (3, 5, 20)
"""Numbers of seeds for the verdicts: those of the default study, of configs/matrix.yaml and of the paper."""
NULL_FRACTION = 0.1
TRUTHS = ("fresh", "shuffled", "copies", "memory", "again")
NEVER_HELPS = "never helps"
RATE, SECONDS = 100.0, 10.0
SETTINGS = ClassifierSettings(learning_rate=0.01, batch=16, steps=40, patience=5)
CPU = torch.device("cpu")


def features(ecg: np.ndarray) -> np.ndarray:
    """Return features of an ECG ``(12, 1000)``: mean band powers and the autocorrelation of the slope in lead II."""
    power = np.abs(np.fft.rfft(ecg - ecg.mean(axis=1, keepdims=True), axis=1)) ** 2
    bands = np.log(np.add.reduceat(power.mean(axis=0)[5:245], np.arange(0, 240, 12)) + 1e-6)
    slope = np.abs(np.diff(ecg[1]))
    slope = np.convolve(slope - slope.mean(), np.ones(8) / 8, mode="same")
    spectrum = np.abs(np.fft.rfft(slope, 2048)) ** 2
    repeats = np.fft.irfft(spectrum)[: int(1.6 * RATE)] / spectrum.sum() * len(spectrum)
    return np.concatenate([bands, repeats[20::5]])


def right(truth: str, share: float) -> str:
    """Return the right verdict on a kind of synthetic set."""
    if truth == "shuffled":
        return NEVER_HELPS
    if share < 1 and truth in ("fresh", "memory"):
        return HELPS
    return f"{HELPS} a little" if truth == "fresh" else NO_DIFFERENCE


def population(n: int, *seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw patients with one recording each, equally many of each class, in random order.

    Returns:
        Features ``(n, f)`` and class ids ``(n,)``.
    """
    labels = np.random.default_rng(seed).permutation(np.arange(n) % len(CLASSES))
    rows = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng([*seed, number])
        patient = draw_patient(rng, HOSPITALS["b"], CLASSES[label])
        rows.append(features(simulate_ecg(rng, CLASSES[label], HOSPITALS["b"], patient, RATE, SECONDS)))
    return np.array(rows, dtype=np.float32), labels


def probabilities(train: tuple, validation: tuple, test: tuple, seed: int) -> np.ndarray:
    """Train on ``train`` (features, labels), stop early on ``validation``; return class probabilities of ``test``."""
    mean, deviation = train[0].mean(axis=0), train[0].std(axis=0) + 1e-6
    parts = [
        InMemory(torch.from_numpy((x - mean) / deviation), torch.from_numpy(y)) for x, y in (train, validation, test)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(len(mean), 32), nn.ReLU(), nn.Dropout(0.25), nn.Linear(32, len(CLASSES)))
    fit(model, parts[0], parts[1], SETTINGS, seed, CPU)
    return predict(model, parts[2])


def comparison(
    x: np.ndarray,
    y: np.ndarray,
    seeds: int,
    fractions: tuple[float, ...],
    truths: tuple[str, ...],
    seed: int,
    tested: int = TEST,
) -> list[Cell]:
    """Run one whole comparison on the given records, in random order; return cells as the tables read them."""
    cuts = np.cumsum([TRAIN, VALIDATION, tested])
    train, validation, test, fresh = ((x[part], y[part]) for part in np.split(np.arange(len(y)), cuts))
    names = np.array([f"p{i:04d}" for i in range(tested)])
    cells = []
    for fraction in fractions:
        found: dict[str, list[np.ndarray]] = {truth: [] for truth in ("none", *truths)}
        for repetition in range(seeds):
            entropy = 1000 * seed + repetition
            chosen = subset(train[1], fraction, entropy)
            share = train[0][chosen], train[1][chosen]
            for truth, results in found.items():
                if truth in ("fresh", "shuffled"):
                    labels = np.random.default_rng([entropy, 7]).permutation(fresh[1])
                    added = fresh[0], fresh[1] if truth == "fresh" else labels
                elif truth == "copies":
                    added = share
                elif truth == "memory":
                    added = train
                else:
                    added = x[:0], y[:0]
                learnt = tuple(np.concatenate(pair) for pair in zip(share, added, strict=True))
                results.append(probabilities(learnt, validation, test, entropy + 500_000_000 * (truth != "none")))
        for truth, results in found.items():
            setting, ratio = (REAL, "none") if truth == "none" else (AUGMENTED, "all")
            key = ("simulated", setting, truth, fraction, ratio, "simulated")
            cells.append(Cell(*key, CLASSES, tuple(range(seeds)), names, names, test[1], np.array(results)))
    return cells


def verdicts(cells: list[Cell], seeds: int, fractions: tuple[float, ...]) -> pd.DataFrame:
    """Compare with the first ``seeds`` repetitions; each truth is its own family, as one generator would be."""
    draws, tables = Draws(300, 1), []
    some = [
        Cell(*c.key, c.classes, c.seeds[:seeds], c.records, c.patients, c.labels, c.probabilities[:seeds])
        for c in cells
    ]
    for truth in dict.fromkeys(cell.generator for cell in cells if cell.generator != "none"):
        mine = [cell for cell in some if cell.generator in ("none", truth)]
        tables.append(comparisons_table(mine, fractions, (), draws, 0.95).assign(truth=truth, seeds=seeds))
    return pd.concat(tables)


def planted(repetitions: int, state: Path | None) -> pd.DataFrame:
    """Count the verdicts on each kind of synthetic set; add mean macro F1, difference and median smallest effect."""
    tables = []

    def trained(repetition: int) -> list[Cell]:
        x, y = population(TRAIN + VALIDATION + TEST + FRESH, 2411, 5, repetition)
        return comparison(x, y, max(SEEDS), FRACTIONS, TRUTHS, repetition)

    for repetition in tqdm(range(repetitions), desc="comparisons", disable=None):
        cells = remembered(state, f"truth-{repetition}", partial(trained, repetition))
        tables += [verdicts(cells, seeds, FRACTIONS) for seeds in SEEDS]
    table = pd.concat(tables)
    table = table[table["metric"] == PRIMARY]
    keys = ["truth", "fraction", "seeds"]
    counts = table.groupby([*keys, "verdict"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=[HELPS, NO_DIFFERENCE, HARMS], fill_value=0).reset_index()
    table["smallest_effect"] = table["smallest_effect"].fillna(np.inf)
    groups = table.groupby(keys)
    means = groups[["reference", "difference"]].mean().join(groups["smallest_effect"].median())
    return counts.merge(means.round(4).reset_index(), on=keys)


def full_share(repetitions: int, state: Path | None) -> pd.DataFrame:
    """Compare verdicts on fresh records at the full share with the same networks' difference on further patients."""
    rows = []
    cut = TRAIN + VALIDATION + TEST

    def trained(repetition: int) -> list[Cell]:
        x, y = population(cut + FRESH, 2411, 5, repetition)
        others = population(OTHERS, 2411, 7, repetition)
        x, y = (np.concatenate([all_[:cut], more, all_[cut:]]) for all_, more in zip((x, y), others, strict=True))
        return comparison(x, y, max(SEEDS), (1.0,), ("fresh",), repetition, TEST + OTHERS)

    for repetition in tqdm(range(repetitions), desc="full share", disable=None):
        cells = remembered(state, f"full-{repetition}", partial(trained, repetition))
        near = [
            Cell(
                *c.key,
                c.classes,
                c.seeds,
                c.records[:TEST],
                c.patients[:TEST],
                c.labels[:TEST],
                c.probabilities[:, :TEST],
            )
            for c in cells
        ]
        scores = {
            c.generator: np.mean(
                [f1_score(c.labels[TEST:], p[TEST:].argmax(axis=1), average="macro") for p in c.probabilities]
            )
            for c in cells
        }
        found = verdicts(near, max(SEEDS), (1.0,))
        row = found[found["metric"] == PRIMARY].iloc[0][["verdict", "difference", "low", "high"]].to_dict()
        rows.append({"repetition": repetition, **row, "difference_on_others": scores["fresh"] - scores["none"]})
    return pd.DataFrame(rows).round(4)


def equals(repetitions: int, state: Path | None) -> pd.DataFrame:
    """Compare real records only with real records only; the p-values should be uniform."""
    rows = []

    def trained(repetition: int) -> list[Cell]:
        x, y = population(TRAIN + VALIDATION + TEST, 2411, 6, repetition)
        return comparison(x, y, max(SEEDS), (NULL_FRACTION,), ("again",), 10_000 + repetition)

    for repetition in tqdm(range(repetitions), desc="equals", disable=None):
        cells = remembered(state, f"equals-{repetition}", partial(trained, repetition))
        for seeds in SEEDS:
            found = verdicts(cells, seeds, (NULL_FRACTION,))
            rows.append(found[found["metric"] == PRIMARY].assign(repetition=repetition))
    columns = ["repetition", "seeds", "difference", "low", "high", "p_value", "p_swap"]
    return pd.concat(rows)[columns].round(5)


def changes(before: pd.DataFrame, counts: pd.DataFrame) -> str:
    """Return the table of verdicts of the former test beside those of the present one on the same networks."""
    kept = ["truth", "seeds"]
    verdicts_ = [HELPS, NO_DIFFERENCE, HARMS]
    old, new = (table.groupby(kept)[verdicts_].sum() for table in (before, counts))
    rows = [
        [truth, seeds, *(" / ".join(str(n) for n in table.loc[(truth, seeds)]) for table in (old, new))]
        for truth, seeds in old.index
    ]
    alike = old.index.get_level_values("truth").isin(["again", "copies"])
    wrong = [int(table.loc[alike, [HELPS, HARMS]].to_numpy().sum()) for table in (old, new)]
    number = int(old.loc[alike].to_numpy().sum())
    found = [int(table.xs("fresh").loc[min(SEEDS), HELPS]) for table in (old, new)]
    return (
        "What changed since the former test, on the same networks, patients and shares: verdicts of all shares "
        f"together, as {HELPS} / {NO_DIFFERENCE} / {HARMS} ([planted_before.csv](data/planted_before.csv)). The former "
        "test gave the patients' part as many degrees of freedom as there are patients, took it from a bootstrap of "
        "200 or 300 draws, had no floor, and trusted what few seeds said of the chance in training.\n\n"
        f"{markdown_table(['synthetic records', 'seeds', 'former test', 'present test'], rows)}\n"
        f"Of {number} comparisons of equals {wrong[0]} showed a difference with the former test, {wrong[1]} do with "
        f"the present one. The price is paid with {min(SEEDS)} seeds: fresh records were shown to help in {found[0]} "
        f"comparisons, and are in {found[1]}.\n\n"
    )


def render(
    counts: pd.DataFrame,
    full: pd.DataFrame,
    null: pd.DataFrame,
    far: pd.DataFrame,
    rare: pd.DataFrame,
    rule: pd.DataFrame,
    before: pd.DataFrame,
) -> str:
    """Return the section of docs/statistics.md: the tables and what follows from them."""
    repetitions = int(counts.iloc[0][[HELPS, NO_DIFFERENCE, HARMS]].sum())
    counts = counts.assign(right=[right(*pair) for pair in zip(counts["truth"], counts["fraction"], strict=True)])
    rows: list[list[object]] = []
    for (truth, share), mine in counts.groupby(["truth", "fraction"]):
        by_seeds = mine.set_index("seeds")
        found = [
            f"{row[HELPS]} / {row[NO_DIFFERENCE]} / {row[HARMS]} ({row['smallest_effect']:.2f})"
            for row in by_seeds.loc[list(SEEDS)].to_dict("records")
        ]
        last = by_seeds.loc[max(SEEDS)]
        rows.append(
            [truth, f"{share:g}", last["right"], f"{last['reference']:.2f}", f"{last['difference']:+.3f}", *found]
        )
    heads = ["synthetic records", "share", "right verdict", "macro F1, real only", "mean difference"]
    text = (
        f"{rare_rhythms(rare)}\n{chosen(rule)}\n"
        "The test sets of what follows hold 40 patients of each rhythm, or one stratum. "
        f"Verdicts in {repetitions} repetitions, as helps / no difference shown / harms, with the median smallest "
        "effect that would have been seen in brackets ([planted_truth.csv](data/planted_truth.csv)):\n\n"
        f"{markdown_table(heads + [f'{seeds} seeds' for seeds in SEEDS], rows)}\n{changes(before, counts)}"
    )

    empty = counts[counts["truth"].isin(["again", "copies"])]
    families, by_heart = len(empty) // len(FRACTIONS) * repetitions, counts[counts["truth"] == "memory"]
    by_heart = by_heart[by_heart["fraction"] == 1]
    gainless = counts[counts["truth"] == "shuffled"]
    fresh = counts[(counts["truth"] == "fresh") & (counts["fraction"] == min(FRACTIONS))].set_index("seeds")
    found = ", ".join(f"{fresh.loc[seeds, HELPS]} with {seeds}" for seeds in SEEDS)
    text += (
        f"That fresh records help at a share of {min(FRACTIONS):g} was shown in {found} seeds, of {repetitions} each. "
        f"There are {families} families of equals (again, copies), of {len(FRACTIONS)} shares each, and Holm's "
        f"correction should hold the level of 5 % within each. At most {empty[[HELPS, HARMS]].to_numpy().sum()} of "
        "them show a difference that does not exist. At the full share memory is the same as copies; there a "
        f"difference was shown in {by_heart[[HELPS, HARMS]].to_numpy().sum()} of {len(by_heart) * repetitions} "
        f"comparisons. Of {len(gainless) * repetitions} comparisons with shuffled labels {gainless[HELPS].sum()} had "
        "the verdict `helps`.\n\n"
    )

    shown, agreed = full[full["verdict"].isin([HELPS, HARMS])], []
    for verdict, sign in ((HELPS, 1), (HARMS, -1)):
        mine = shown[shown["verdict"] == verdict]["difference_on_others"]
        agreed.append(
            f"`{verdict}` in {len(mine)}, and on the further patients the difference had the same sign in "
            f"{(sign * mine > 0).sum()} of these (mean {mine.mean():+.3f})"
        )
    text += (
        f"At the full share every seed learns from the same {TRAIN} real and {FRESH} fresh records, and the verdict "
        "is about these records. By chance they can be worse than the real ones alone. Each verdict with "
        f"{max(SEEDS)} seeds was therefore compared with the same networks' difference on {OTHERS:,} further patients "
        f"([full_share.csv](data/full_share.csv)). The verdict was {'; '.join(agreed)}. Over all {len(full)} "
        f"repetitions the difference on the further patients was {full['difference_on_others'].mean():+.3f} (from "
        f"{full['difference_on_others'].min():+.3f} to {full['difference_on_others'].max():+.3f}).\n\n"
    )

    rows = []
    for seeds, mine in null.groupby("seeds"):
        p, swapped = mine["p_value"].to_numpy(), mine["p_swap"].to_numpy()
        inside = ((mine["low"] <= 0) & (mine["high"] >= 0)).mean()
        shares = [f"{(p <= level).mean():.2f}" for level in (0.05, 0.1, 0.25, 0.5, 0.75)]
        uniform = f"{stats.kstest(p, 'uniform').pvalue:.2f}"
        exact = [f"{(swapped <= level).mean():.2f}" for level in (0.05, 0.25, 0.5)]
        rows.append([seeds, len(mine), *shares, uniform, *exact, f"{inside:.2f}"])
    heads = ["seeds", "comparisons", "p ≤ 0.05", "0.1", "0.25", "0.5", "0.75", "uniform? (Kolmogorov-Smirnov p)"]
    heads += ["swapped ≤ 0.05", "≤ 0.25", "≤ 0.5", "0 in the 95 % interval"]
    text += (
        "Equals against equals: real records only, with other seeds on the two sides "
        "([null_p_values.csv](data/null_p_values.csv)). The share of p-values in macro F1 at or below a level should "
        f"equal the level.\n\n{markdown_table(heads, rows)}\n"
    )

    return f"{text}{described(far)}"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--repetitions", type=int, default=20, help="repetitions of the whole comparison")
    arguments.add_argument("--null", type=int, default=100, help="repetitions of the comparison of equals")
    arguments.add_argument("--draws", type=int, default=3000, help="draws of each row of rare_rhythms.csv")
    arguments.add_argument("--only", choices=PARTS, action="append", help="measure only these (may be repeated)")
    arguments.add_argument("--state", type=Path, help="folder that keeps what networks answered, to go on from there")
    args = arguments.parse_args()
    torch.set_num_threads(1)
    measured = {
        "rare": ((RARE_CSV, lambda: levels(args.draws, args.state)), (CHOICE_CSV, lambda: choices(args.draws // 2))),
        "tails": ((TAILS_CSV, tails),),
        "null": ((NULL_CSV, lambda: equals(args.null, args.state)),),
        "truth": ((CSV, lambda: planted(args.repetitions, args.state)),),
        "full": ((FULL_CSV, lambda: full_share(args.repetitions, args.state)),),
    }
    for part in () if args.render else args.only or PARTS:
        for path, measure in measured[part]:
            measure().to_csv(path, index=False)
    sources = (CSV, FULL_CSV, NULL_CSV, TAILS_CSV, RARE_CSV, CHOICE_CSV, BEFORE_CSV)
    write_section(DOCS / "statistics.md", "planted", render(*map(pd.read_csv, sources)))


if __name__ == "__main__":
    main()
