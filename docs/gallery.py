"""Make the gallery: ``make gallery`` runs every notebook and keeps it here, as it was executed.

Small settings on synthetic scenes; what is done is not run again. Pictures are kept as large and in
as many colours as a page of at most 300 KB allows, and the folder that the notebooks ran in is not
named.
"""

import base64
import io
import json
import os
import sys
from pathlib import Path

import nbformat
from PIL import Image

import festkit as fk
from festkit._support.files import write_text
from festkit.jobs.job import Job, Outcome
from festkit.jobs.parameters import find_notebook

GALLERY = Path(__file__).parent / "gallery"
FOLDER = Path("runs/gallery")
LIMIT = 300_000
STEPS = ((256, 1.0), (128, 1.0), (64, 1.0), (32, 1.0), (32, 0.7), (32, 0.5))
"""Colours and scales of pictures, tried in this order."""

OCTREE = Image.Quantize.FASTOCTREE
"""Keeps the few coloured pixels of marks on a gray image, which other ways give up."""


def main(workers: int) -> None:
    """Run what is missing, then write every notebook and the page that leads to them."""
    jobs = [
        Job("00_quickstart", {"epochs": 24}),
        *fk.plan_jobs("all"),
        Job("04_threshold_tuner"),
        Job("05_own_images"),
    ]
    outcomes = fk.run_jobs(jobs, FOLDER, workers=workers)
    lost = [outcome.reason for outcome in outcomes if outcome.status != "done"]
    if lost:
        raise SystemExit("not every notebook is done:\n" + "\n".join(lost))
    shown: dict[str, Outcome] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        shown.setdefault(str(job.notebook), outcome)
    for name, outcome in sorted(shown.items()):
        book = nbformat.read(outcome.folder / f"{name}.ipynb", as_version=4)
        write_text(GALLERY / f"{name}.ipynb", slimmed(book, outcome.folder))
    lines = [f"- [{title(name)}]({name}.ipynb)" for name in sorted(shown)]
    text = [HEAD.format(version=fk.__version__), *lines, ""]
    write_text(GALLERY / "README.md", "\n".join(text))


HEAD = """# Gallery

The notebooks as they were executed, by `make gallery` (festkit {version}), on synthetic scenes and
with networks that have hardly begun to learn (profile "smoke"; the quickstart and the tuner train
a little longer): they show what a notebook gives, not what the networks can do. Only
`05_own_images` looks with weights of the zoo.
"""


def title(name: str) -> str:
    """The heading of a notebook."""
    book = nbformat.read(find_notebook(name), as_version=4)
    return str(book.cells[0].source).partition("\n")[0].removeprefix("# ")


def slimmed(book: nbformat.NotebookNode, folder: Path) -> str:
    """The notebook as text of at most 300 KB, without the names of folders on this machine."""
    book.metadata.pop("papermill", None)
    for cell in book.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    for step in (None, *STEPS):
        text = nbformat.writes(shrunk(book, *step) if step else book)
        for path in (folder.parent.parent.resolve(), Path.cwd()):
            text = text.replace(json.dumps(str(path))[1:-1] + os.sep, "")
        if len(text.encode()) <= LIMIT:
            return text
    raise ValueError(f"{folder.name} takes {len(text.encode())} bytes, expected at most {LIMIT}")


def shrunk(book: nbformat.NotebookNode, colours: int, scale: float) -> nbformat.NotebookNode:
    """A copy whose pictures have so many colours and are so much smaller."""
    book = nbformat.from_dict(json.loads(json.dumps(book)))
    for cell in book.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
                image = image.resize([round(scale * side) for side in image.size])
                part = io.BytesIO()
                image.quantize(colours, method=OCTREE).save(part, "PNG", optimize=True)
                data["image/png"] = base64.b64encode(part.getvalue()).decode()
    return book


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
