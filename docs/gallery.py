"""Make the gallery: ``make gallery`` runs every notebook and keeps it here, as it was executed.

Notebooks that are done are not run again, so an interrupted call continues. Pictures become JPEG
where a page would exceed 300 KB, and the folder that the notebooks ran in is not named.
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
from festkit.jobs.parameters import NOTEBOOKS, find_notebook
from festkit.tables import find_table

SMOKE = ("input_size", "losses", "fusion", "hyperparameters")
"""Tables that must train many networks; they are shown with the profile "smoke"."""

SETTINGS = {"02_train": {"profile": "quick"}}
"""Parameters of other notebooks that differ from the defaults."""

GALLERY = Path(__file__).parent / "gallery"
FOLDER = Path("runs/gallery")
LIMIT = 300_000
STEPS = ((90, 1.0), (75, 1.0), (75, 0.7), (75, 0.5))
"""JPEG qualities and scales of pictures, tried in this order."""


def main(workers: int) -> None:
    """Run what is missing, then write every notebook and the page that leads to them."""
    smoke = {find_table(table).notebook: fk.plan_jobs(table) for table in SMOKE}
    names = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb") if path.stem not in smoke)
    jobs = [Job(name, SETTINGS.get(name, {})) for name in names]  # before others of their notebook
    jobs += [job for table in smoke.values() for job in table]
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
    head = HEAD.format(version=fk.__version__)
    write_text(GALLERY / "README.md", "\n".join([head, *lines, ""]))
    write_text(GALLERY / "index.md", f"{head}\n{TOCTREE}")


HEAD = """# Gallery

Every notebook as executed by `make gallery` (festkit {version}), on synthetic scenes.

- **Shipped weights**: notebooks 03 to 05, tables 4 to 6, figure 7.
- **Trained here**: the quickstart (12 epochs on easy scenes) and 02 (profile "quick").
- **Smoke runs**: tables 1 to 3 and figure 5 need many trainings. They show what the notebook gives,
  not what the networks can do.
"""

TOCTREE = """```{toctree}
:glob:

*
```
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
        if "outputs" in cell:
            cell.outputs = [each for each in cell.outputs if not is_progress(each)]
    for step in (None, *STEPS):
        text = nbformat.writes(shrunk(book, *step) if step else book)
        for path in (folder.parent.parent.resolve(), Path.cwd()):
            text = text.replace(json.dumps(str(path))[1:-1] + os.sep, "")
        if len(text.encode()) <= LIMIT:
            return text
    raise ValueError(f"{folder.name} takes {len(text.encode())} bytes, expected at most {LIMIT}")


def is_progress(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a state of a progress bar, or the empty line after it."""
    text = str(output.get("text", "-"))
    return output.output_type == "stream" and (text.startswith("\r") or not text.strip())


def shrunk(book: nbformat.NotebookNode, quality: int, scale: float) -> nbformat.NotebookNode:
    """A copy whose pictures are JPEG, where that is smaller, and scaled."""
    book = nbformat.from_dict(json.loads(json.dumps(book)))
    for cell in book.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
                image = image.resize([round(scale * side) for side in image.size])
                part = io.BytesIO()
                image.save(part, "JPEG", quality=quality, subsampling=0)
                text = base64.b64encode(part.getvalue()).decode()
                if len(text) < len(data["image/png"]):
                    del data["image/png"]
                    data["image/jpeg"] = text
    return book


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
