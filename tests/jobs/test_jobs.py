import io
import json
import os
import subprocess
import sys

import nbformat
import pytest
from smallbooks import entries, notebook

from festkit.jobs import parameters as notebooks
from festkit.jobs.execute import run_notebook
from festkit.jobs.parameters import NOTEBOOKS, find_notebook, write_parametrised
from festkit.jobs.status import NotebookError

RECORDS = ["environment.json", "progress.jsonl", "status.json"]
ENTRIES = ["book.html", "book.ipynb", *RECORDS]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    source = notebook(
        folder,
        "import sys\nfor n in range(3):\n    print('line', n, flush=True)",
        "for n in range(3):\n    print(name, file=sys.stderr, flush=True)",
        "epochs * 2",
    )
    before = source.read_bytes()
    path = run_notebook(source, {"epochs": 21}, folder / "out")
    assert source.read_bytes() == before
    return path


@pytest.mark.system
class TestSuccess:
    def test_the_executed_notebook_and_its_page_are_kept(self, executed):
        assert executed.name == "book.ipynb"
        assert entries(executed.parent) == ENTRIES

    def test_the_parameters_act(self, executed):
        book = nbformat.read(executed, as_version=4)
        nbformat.validate(book)
        (output,) = book.cells[-1].outputs
        assert output["data"]["text/plain"] == "42"

    def test_what_was_printed_is_one_piece_per_stream(self, executed):
        book = nbformat.read(executed, as_version=4)
        pieces = [(out.name, out.text) for cell in book.cells[-3:-1] for out in cell.outputs]
        assert pieces == [("stdout", "line 0\nline 1\nline 2\n"), ("stderr", "a\na\na\n")]

    def test_the_page_is_whole(self, executed):
        page = executed.with_suffix(".html").read_text(encoding="utf-8")
        assert "<title>book</title>" in page
        assert "line 2" in page
        assert page.rstrip().endswith("</html>")

    def test_prints_reach_the_terminal_while_it_runs(self, tmp_path, capfd, caplog, monkeypatch):
        class Terminal(io.StringIO):
            def write(self, text):
                if "working" in text:
                    (tmp_path / "seen").touch()
                return super().write(text)

        monkeypatch.setattr(sys, "stdout", Terminal())
        source = notebook(
            tmp_path,
            "import sys\nprint('working', flush=True)\nprint('hard', file=sys.stderr, flush=True)",
            f"""
import time
from pathlib import Path
deadline = time.monotonic() + 20
while not Path({str(tmp_path / "seen")!r}).exists():
    assert time.monotonic() < deadline, "the first cell's print has not arrived"
    time.sleep(0.05)
""",
            parameters="root: str | None = None",
        )
        run_notebook(source, {"root": "here"}, tmp_path / "out")
        assert "hard" in capfd.readouterr().err
        assert "unknown parameter" not in caplog.text


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAA"
    "BJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def executed_widget(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widgets")
    source = notebook(
        folder,
        f"""
import ipywidgets
from IPython.display import display
bundle = ipywidgets.IntSlider(5)._repr_mimebundle_()
display(bundle | {{"image/png": "{PIXEL}"}}, raw=True)
""",
    )
    return run_notebook(source, {}, folder / "out")


@pytest.mark.system
class TestWidgets:
    def test_the_notebook_keeps_the_picture_and_no_state(self, executed_widget):
        book = nbformat.read(executed_widget, as_version=4)
        assert "widgets" not in book.metadata
        (output,) = book.cells[-1].outputs
        assert output.data["image/png"].strip() == PIXEL

    def test_the_page_shows_the_picture(self, executed_widget):
        page = executed_widget.with_suffix(".html").read_text(encoding="utf-8")
        assert f"data:image/png;base64,{PIXEL}" in page
        assert "application/vnd.jupyter.widget-view+json" not in page


class TestCopy:
    def test_it_has_the_parameters_and_is_not_run(self, tmp_path):
        source = notebook(tmp_path, "epochs * 2", parameters="epochs = None\nname: str = 'a'")
        path = write_parametrised(
            source, {"name": "b", "epochs": None}, tmp_path / "new" / "c.ipynb"
        )
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        (cell,) = [c for c in book.cells if "injected-parameters" in c.metadata.get("tags", [])]
        assert cell.source.splitlines()[-2:] == ['name = "b"', "epochs = None"]
        assert book.cells.index(cell) == 2
        assert book.cells[-1].outputs == []
        assert entries(tmp_path / "new") == ["c.ipynb"]

    def test_an_unknown_parameter(self, tmp_path):
        with pytest.raises(ValueError, match="Did you mean 'epochs'"):
            write_parametrised(notebook(tmp_path), {"epoch": 4}, tmp_path / "c.ipynb")
        assert entries(tmp_path) == ["book.ipynb"]


class TestFailure:
    @pytest.mark.system
    def test_a_failing_cell(self, tmp_path):
        source = notebook(tmp_path, "1 / 0", "print('never')")
        with pytest.raises(
            RuntimeError,
            match=r"ZeroDivisionError: division by zero \(in code cell 2; see .*book\.failed\.ip",
        ):
            run_notebook(source, {}, tmp_path / "out")
        assert entries(tmp_path / "out") == ["book.failed.ipynb", *RECORDS]
        failed = nbformat.read(tmp_path / "out" / "book.failed.ipynb", as_version=4)
        assert "ZeroDivisionError" in str(failed)
        assert "never" not in str([cell.get("outputs") for cell in failed.cells])

    @pytest.mark.system
    def test_a_success_clears_the_failure_before_it(self, tmp_path):
        source = notebook(tmp_path, "assert epochs == 4, 'wrong'")
        with pytest.raises(RuntimeError, match="wrong"):
            run_notebook(source, {}, tmp_path / "out")
        run_notebook(source, {"epochs": 4}, tmp_path / "out")
        assert entries(tmp_path / "out") == ENTRIES

    def test_a_full_disk_leaves_no_half_file(self, tmp_path, monkeypatch):
        def no_space(*_):
            raise OSError(28, "No space left on device")

        source = notebook(tmp_path, "1")
        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            run_notebook(source, {}, tmp_path / "out")
        assert entries(tmp_path / "out") == []


class TestBadInput:
    def test_an_unknown_parameter(self, tmp_path):
        source = notebook(tmp_path)
        with pytest.raises(
            ValueError,
            match=r"unknown parameter of book\.ipynb 'epoch'; choose from epochs, name\. "
            r"Did you mean 'epochs'\?",
        ):
            run_notebook(source, {"epoch": 4}, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_parameter_in_another_spelling(self, tmp_path):
        with pytest.raises(ValueError, match=r"has no parameter 'Epochs'; it has epochs"):
            run_notebook(notebook(tmp_path), {"Epochs": 4}, tmp_path / "out")

    def test_an_unknown_notebook_lists_the_known_ones(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"no such notebook: 0_quick; .*notebooks contains: .*00_quick"
        ):
            run_notebook("0_quick", {}, tmp_path)

    def test_a_kit_without_notebooks(self, tmp_path, monkeypatch):
        monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
        with pytest.raises(FileNotFoundError, match="contains: none"):
            find_notebook("00_quickstart")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
class TestOwnNotebooks:
    def test_it_is_stored_without_output(self, path):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        for cell in book.cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None

    def test_it_has_a_title_and_one_cell_of_parameters(self, path):
        book = nbformat.read(path, as_version=4)
        assert book.cells[0].source.startswith("# ")
        tags = [tag for cell in book.cells for tag in cell.metadata.get("tags", [])]
        assert tags.count("parameters") == 1
        assert book.metadata.kernelspec.name == "python3"


@pytest.mark.system
def test_notebooks_run_side_by_side(tmp_path):
    """Kernels share nothing, not even what they find where their process was started."""
    book = notebook(tmp_path, "print(epochs)")
    code = "import sys, festkit; festkit.run_notebook(sys.argv[1], {}, sys.argv[2])"
    runs = [
        subprocess.Popen([sys.executable, "-c", code, book, tmp_path / str(k)], cwd=tmp_path)
        for k in range(2)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert entries(tmp_path) == ["0", "1", "book.ipynb"]


class TestFilesThatCannotBeRun:
    @pytest.mark.parametrize(
        "content",
        [b"", b"print('a script')", b"[]", b"{}", b'{"a": 1}', b"\x89PNG\r\n\x1a\n\xff", b'{"nbf'],
    )
    def test_a_file_that_is_no_notebook(self, tmp_path, content):
        (tmp_path / "book.ipynb").write_bytes(content)
        with pytest.raises(
            ValueError, match=r"book\.ipynb is not a readable notebook .*; expected an \.ipynb file"
        ):
            run_notebook(tmp_path / "book.ipynb", {}, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_no_tagged_cell(self, tmp_path):
        source = changed(notebook(tmp_path), lambda book: book.cells[1].metadata.pop("tags"))
        with pytest.raises(
            ValueError,
            match=r"book\.ipynb has no cell tagged 'parameters', .* got epochs; add the tag",
        ):
            run_notebook(source, {"epochs": 4}, tmp_path / "out")
        assert notebooks.check_parameters(source, {}) == {}

    def test_a_tagged_cell_that_is_not_python(self, tmp_path):
        source = notebook(tmp_path, parameters="%matplotlib inline\nepochs: int = 3")
        with pytest.raises(ValueError, match=r"tagged 'parameters' is not plain Python \(line 1:"):
            run_notebook(source, {"epochs": 4}, tmp_path / "out")

    @pytest.mark.parametrize(
        ("spec", "asks"),
        [
            ({"name": "ir", "display_name": "R", "language": "R"}, "asks for the kernel 'ir'"),
            (None, "names no kernel"),
        ],
    )
    def test_a_kernel_that_is_not_installed(self, tmp_path, spec, asks):
        source = changed(notebook(tmp_path), lambda book: set_kernel(book, spec))
        with pytest.raises(
            ValueError, match=rf"book\.ipynb {asks}, and those installed here are .*python3.*; open"
        ):
            run_notebook(source, {}, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.system
    @pytest.mark.parametrize(
        "command", [["/no/python"], [sys.executable, "-c", "raise SystemExit(1)"]]
    )
    def test_a_kernel_that_does_not_start(self, tmp_path, monkeypatch, command):
        spec = {"argv": command, "display_name": "Gone", "language": "python"}
        (tmp_path / "kernels" / "gone").mkdir(parents=True)
        (tmp_path / "kernels" / "gone" / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
        source = changed(notebook(tmp_path), lambda book: set_kernel(book, {"name": "gone"}))
        with pytest.raises(
            NotebookError, match=r"book\.ipynb failed: the kernel 'gone' did not start: "
        ):
            run_notebook(source, {"epochs": 4}, tmp_path / "out")


def set_kernel(book, spec):
    book.metadata.pop("kernelspec")
    if spec:
        book.metadata["kernelspec"] = spec


def changed(path, change):
    book = nbformat.read(path, as_version=4)
    change(book)
    nbformat.write(book, path)
    return path


@pytest.mark.system
class TestOut:
    WRITE = "from pathlib import Path\nPath(out, 'left.txt').write_text('x')"

    def test_its_folder_is_passed_as_out(self, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        book = notebook(tmp_path, self.WRITE, parameters="out: str = '../elsewhere'")
        run_notebook(book, {}, "a")
        assert "left.txt" in entries(tmp_path / "here" / "a")
        assert entries(tmp_path) == ["book.ipynb", "here"]

    def test_another_folder_that_is_given_is_taken(self, tmp_path):
        (tmp_path / "b").mkdir()
        book = notebook(tmp_path, self.WRITE, parameters="out: str = '.'")
        run_notebook(book, {"out": str(tmp_path / "b")}, tmp_path / "a")
        assert entries(tmp_path / "b") == ["left.txt"]
