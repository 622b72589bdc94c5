"""Do MMD's p-value and the two-sample test hold where a patient has several records? The same simulator on both sides.

    python benchmarks/planted_patients.py            # measures docs/data/planted_patients.csv: minutes
    python benchmarks/planted_patients.py --render   # writes the section of docs/closeness.md again

Patients are drawn from a pool of simulated ones, without overlap between the sides. So real and synthetic records are
of one kind, and MMD should reject as often as its level says.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, markdown_table, parser, write_section
from planted_truth import CLASSES, RATE, SECONDS, features
from tqdm import tqdm

from ecgpipe.closeness import distances, twosample
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS
from ecgpipe.simulator.patients import draw_patient

CSV = DATA / "planted_patients.csv"
POOL, SIDE = 280, 28
"""Simulated patients, and patients a side of a comparison."""
RECORDS = ((1, 1), (2, 2), (4, 4), (4, 1))
"""Records a patient on both sides."""
SCORED = 60
"""Comparisons whose two-sample test is averaged."""
MOST = max(max(pair) for pair in RECORDS)


def pool() -> np.ndarray:
    """Simulate patients with several records each: features ``(patients, records, f)``, z-scored."""
    rows = []
    for number in tqdm(range(POOL), desc="patients", disable=None):
        rng = np.random.default_rng([2411, 8, number])
        rhythm = CLASSES[number % len(CLASSES)]
        patient = draw_patient(rng, HOSPITALS["b"], rhythm)
        ecgs = [simulate_ecg(rng, rhythm, HOSPITALS["b"], patient, RATE, SECONDS) for _ in range(MOST)]
        rows.append([features(ecg) for ecg in ecgs])
    found = np.array(rows)
    return (found - found.mean(axis=(0, 1))) / found.std(axis=(0, 1))


def measure(repetitions: int) -> pd.DataFrame:
    """Compare equals; count rejections of MMD and average the score of the ridge two-sample test, both ways."""
    everyone, rows = pool(), []
    once = {n: np.ones((1, SIDE * n)) for n in (1, 2, 4)}
    for first, second in RECORDS:
        rng = np.random.default_rng([2411, first, second])
        p_values, scores = np.empty((2, repetitions)), np.empty((2, SCORED))
        for number in tqdm(range(repetitions), desc=f"{first} and {second} records", disable=None):
            drawn = rng.permutation(POOL)[: 2 * SIDE]
            a, b = (
                everyone[rows_, :n].reshape(SIDE * n, -1)
                for rows_, n in ((drawn[:SIDE], first), (drawn[SIDE:], second))
            )
            patients = [np.repeat(np.arange(SIDE), n) for n in (first, second)]
            for place, known in enumerate((patients, (None, None))):
                p_values[place, number] = distances.mmd_p_value(a, b, np.random.default_rng([number]), *known)
                if number < SCORED:
                    correct = twosample.ridge_correct(a, b, number, *known)
                    scores[place, number] = twosample.score(*correct, once[first], once[second])[0]
        for place, unit in enumerate(("patients", "records")):
            shares = {f"p<={level:g}": round(float((p_values[place] <= level).mean()), 4) for level in (0.05, 0.01)}
            row = {"records": f"{first} and {second}", "unit": unit, "comparisons": repetitions, **shares}
            rows.append({**row, "score": round(float(scores[place].mean()), 3)})
    return pd.DataFrame(rows)


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/closeness.md."""
    rows = [
        [
            *(str(row[name]) for name in ("records", "unit")),
            f"{row['p<=0.05']:.3f}",
            f"{row['p<=0.01']:.3f}",
            f"{row['score']:.2f}",
        ]
        for row in table.to_dict("records")
    ]
    heads = ["records a patient", "permuted, folded", "MMD: p ≤ 0.05", "p ≤ 0.01", "two-sample test, ridge"]
    number = int(table["comparisons"].iloc[0])
    return (
        f"The same simulator on both sides, {SIDE} patients a side, {number} comparisons ({SCORED} of them for the "
        "two-sample test). Permuting and folding records, as if every record had a patient of its own, takes patients "
        "met twice for a difference between the sides. (Simulation error of a share of 0.05: "
        f"{np.sqrt(0.05 * 0.95 / number):.3f}.) Written by `python benchmarks/planted_patients.py` from "
        "`docs/data/planted_patients.csv`.\n\n" + markdown_table(heads, rows)
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--repetitions", type=int, default=200, help="comparisons of each kind")
    args = arguments.parse_args()
    if not args.render:
        measure(args.repetitions).to_csv(CSV, index=False)
    write_section(DOCS / "closeness.md", "patients", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
