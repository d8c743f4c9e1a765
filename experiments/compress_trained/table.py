"""Prints the table of the README from ``results/final.jsonl``; computes nothing."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def cells(row: dict) -> list[str]:
    """One run as the table shows it."""
    paired, student, teacher = row["paired"], row["compared"][1], row["compared"][0]
    likeness = row["likeness"]
    if likeness["agreement"] < 1 or "Pong" in row["env"] or "CartPole" in row["env"]:
        actions = f"{100 * likeness['agreement']:.1f} % agree"
    else:
        actions = f"error {likeness['error']:.3f}"
    ratio = f"{100 * paired['ratio']:.1f} %" if paired["teacher"] > 0 else ""
    difference = f"{paired['difference']:+.1f} ± {paired['half_width']:.1f}"
    worst = f"{paired['worst_student']:.0f} ({paired['worst_teacher']:.0f})"
    asked = f"{row['sparsity']:g}" + (" (auto)" if row["asked_sparsity"] == "auto" else "")
    return [
        row["model"].removesuffix(".zip"),
        asked,
        str(row["seed"]),
        f"{paired['teacher']:.1f}",
        f"{paired['student']:.1f}",
        ratio,
        difference,
        worst,
        actions,
        f"{teacher['size_bytes']:,} → {student['size_bytes']:,}",
        f"{teacher['sb3_us']:.0f} → {student['engine_us']:.2f}",
        f"{row['gradient_steps']:,}",
        f"{row['timing']['cpu_s']:.0f}",
    ]


def main() -> None:
    """Print all runs."""
    heads = "agent|sparsity|seed|teacher|student|of it|difference (95 %)|worst (teacher's)|actions"
    names = [*heads.split("|"), "bytes", "µs (SB3 → engine)", "steps", "CPU s"]
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for line in (RESULTS / "final.jsonl").read_text().splitlines():
        print("| " + " | ".join(cells(json.loads(line))) + " |")


if __name__ == "__main__":
    main()
