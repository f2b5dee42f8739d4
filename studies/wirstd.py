"""The paper's Tables 1 to 5 and Fig. 5 on the W-IRSTD land/air subset, with ACM.

``python -m studies.wirstd --data-root FOLDER`` trains what is missing under ``runs/wirstd`` and
writes docs/wirstd.md; ``--no-train`` writes the page from what is finished. FOLDER is that of
``festkit data build-wirstd``. Interrupted, the same command continues.
"""

from pathlib import Path

import tyro

from festkit._support.files import write_utf8
from festkit.tables import Profile, find_table, train_all

DATASET = "W-IRSTD-land-air-subset"

RECIPE = Profile(
    scale=1,
    backbone="ACM",
    small={
        "crop": 192, "epochs": 7, "natural_epochs": 2, "whole_epochs": 1, "learning_rate": 3e-3,
        "protocol": "last", "precision": "fp32",
    },
    large={},
    further=3,
)  # fmt: skip
"""The paper's sizes, on squares of 192 px and once on whole images: a night on one CPU core."""

TABLES = ("input_size", "losses", "hyperparameters")
"""Tables whose trainings, together, are those of all others."""


def main(
    data_root: str,
    out: Path = Path("runs/wirstd"),
    seeds: tuple[int, ...] = (0,),
    tables: tuple[str, ...] = TABLES,
) -> None:
    """Train all networks and write the page.

    Args:
        data_root: the folder that holds the subset.
        out: folder of the runs.
        seeds: of the trainings.
        tables: those that are trained, in this order.
    """
    for seed in seeds:
        for table in tables:
            rows = find_table(table).rows(RECIPE, RECIPE.backbone, DATASET)
            place = out / f"seed-{seed}"
            train_all(rows, DATASET, place, seed=seed, data_root=data_root, threads=1)


if __name__ == "__main__":
    write_utf8()
    tyro.cli(main)
