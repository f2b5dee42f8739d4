"""The command ``festkit tune``."""

from pathlib import Path
from typing import Literal

import tyro


def tune(
    runs: tyro.conf.Positional[tuple[Path, ...]],
    split: Literal["test", "holdout"] = "test",
    dataset: str | None = None,
    data_root: str | None = None,
    app: Literal["auto", "lab", "voila"] = "auto",
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Tune both thresholds of a trained run in the browser, until Ctrl-C.

    Opens the notebook 04_threshold_tuner on a server at 127.0.0.1 with a new token.

    Args:
        runs: run folders; several runs on the same images are fused as the scales of a FEST.
        split: test, or holdout (the training images held out for validation).
        dataset: name or folder of the images; default: the dataset of the run.
        data_root: folder of the datasets; default FESTKIT_DATA, else data.
        app: lab opens the notebook in JupyterLab, voila shows only the tuner; auto uses Voila if it
            is installed (pip install "festkit[app]").
        port: port of the server; default: any free port.
        browser: open the browser; --no-browser only prints the URL.
    """
    from ..tuner.serve import serve

    images = {"dataset": dataset, "data_root": data_root}
    serve(runs, split=split, app=app, port=port, open_browser=browser, **images)
