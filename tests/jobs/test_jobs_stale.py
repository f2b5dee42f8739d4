"""A job that is done counts only while it was made from what is here now."""

import pickle
import shutil

import pytest
from handmade import make_set
from smallbooks import entries, notebook

import festkit
from festkit._support.files import read_json, write_json
from festkit.jobs import provenance as origins
from festkit.jobs.job import Job, Output, run_job
from festkit.jobs.provenance import look_again
from festkit.jobs.stale import check_done

PARAMETERS = (
    "dataset: str = 'synthetic'\ndata_root: str | None = None\nrun: str | None = None\n"
    "out: str = '.'\nseed: int = 0"
)
CODE = "import festkit as fk\nfk.fuse, fk.show"


@pytest.fixture
def book(tmp_path):
    return notebook(tmp_path, CODE, parameters=PARAMETERS)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A copy of the kit's code, to be changed."""
    house = shutil.copytree(
        origins.HOUSE, tmp_path / "festkit", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(origins, "HOUSE", house)
    look_again()
    return house


@pytest.fixture(autouse=True)
def forget():
    yield
    look_again()


def made(job, folder, ended="2026-01-01"):
    """As if the job had been run."""
    record = {"job": job.record, "ended": ended}
    write_json(folder / "done" / job.key / "environment.json", record)
    write_json(folder / "done" / job.key / "metrics.json", {"n": 1})
    return job.key


def newer(monkeypatch, version="9.0"):
    monkeypatch.setattr(origins, "__version__", version)
    look_again()


def append(path, text):
    path.write_text(path.read_text() + text)


class TestWhatMakesStale:
    def check(self, job, folder, old, why):
        (again,), stale = check_done([job], folder)
        assert stale == {old: why}
        assert again.key != old
        assert again.key.partition("-")[0] == old.partition("-")[0]
        return again

    def test_nothing(self, tmp_path, book):
        old = made(Job(book), tmp_path)
        (again,), stale = check_done([Job(book)], tmp_path)
        assert (again.key, stale) == (old, {})

    def test_another_version(self, tmp_path, book, monkeypatch):
        old = made(Job(book), tmp_path)
        newer(monkeypatch)
        self.check(Job(book), tmp_path, old, f"festkit was {festkit.__version__} and is now 9.0")

    def test_the_code_of_the_kit(self, tmp_path, book, house):
        old = made(Job(book), tmp_path)
        append(house / "fusion.py", "\nchanged = 1\n")
        self.check(Job(book), tmp_path, old, "the code of festkit has changed")

    def test_a_record_of_an_earlier_version_names_the_code_of_rooms(self, tmp_path, book):
        job = Job(book)
        origin = {n: value for n, value in job.record["origin"].items() if n != "code"}
        record = {
            "job": job.record | {"key": "book-0", "origin": origin | {"rooms": {"fusion": "1"}}}
        }
        write_json(tmp_path / "done" / "book-0" / "environment.json", record)
        self.check(job, tmp_path, "book-0", "the code of festkit has changed")

    def test_its_notebook(self, tmp_path, book):
        old = made(Job(book), tmp_path)
        book.write_text(book.read_text().replace("fk.show", "fk.fuse"))
        self.check(Job(book), tmp_path, old, "the code of its notebook has changed")

    def test_its_images(self, tmp_path, book):
        folder = make_set(tmp_path / "sky", train=2)
        job = Job(book, {"dataset": str(folder)})
        old = made(job, tmp_path)
        mask = next((folder / "masks").iterdir())
        mask.write_bytes(mask.read_bytes() + b" ")  # as one that was repaired
        again = self.check(job, tmp_path, old, "the images of its dataset have changed")
        made(again, tmp_path, "2026-01-02")
        (last,), stale = check_done([job], tmp_path)
        assert (last.key, stale) == (again.key, {})

    def test_images_of_another_root(self, tmp_path, book):
        first, second = (
            Job(book, {"dataset": "sky", "data_root": str(tmp_path / root)}) for root in "ab"
        )
        make_set(tmp_path / "a" / "sky", train=2)
        make_set(tmp_path / "b" / "sky", train=3)
        assert first.key != second.key
        shutil.rmtree(tmp_path / "b")
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        look_again()
        assert first.key == second.key

    def test_images_that_are_not_there_are_not_compared(self, tmp_path, book):
        folder = make_set(tmp_path / "sky", train=2)
        job = Job(book, {"dataset": "sky", "data_root": str(tmp_path)})
        old = made(job, tmp_path)
        shutil.rmtree(folder)
        (again,), stale = check_done([job], tmp_path)
        assert (again.key, stale) == (old, {})

    def test_images_that_only_a_worker_sees(self, tmp_path, book):
        job = Job(book, {"dataset": "sky", "data_root": str(tmp_path)})
        old = made(job, tmp_path)
        pickled = pickle.dumps(job)
        make_set(tmp_path / "sky", train=2)
        (again,), stale = check_done([job], tmp_path)
        assert (again.key, stale) == (old, {})
        look_again()
        here = pickle.loads(pickled).record_here()
        assert here["key"] == old
        assert here["origin"]["images"] == Job(book, job.parameters).record["origin"]["images"]
        assert pickle.loads(pickled).record["origin"]["images"] is None

    def test_what_it_needs(self, tmp_path, book, house):
        first = Job(book, {"seed": 1})
        other = notebook(tmp_path, "run", parameters=PARAMETERS, name="other")
        last = Job(other, {"run": Output(first, "run")})
        old = [made(job, tmp_path) for job in (first, last)]
        append(house / "fusion.py", "\nchanged = 1\n")
        (again,), stale = check_done([last], tmp_path)
        assert stale == {
            old[0]: "the code of festkit has changed",
            old[1]: "the code of festkit has changed; a job it depends on has changed",
        }
        assert again.needs[0].key not in old

    def test_comments_docstrings_and_what_only_prints_change_no_figure(self, tmp_path, house):
        book = notebook(tmp_path, "from festkit import train, save_results", parameters=PARAMETERS)
        old = made(Job(book), tmp_path)
        append(house / "losses.py", '\n# a comment\nKNOWN = 1\n"""What is said of it."""\n')
        again = self.check(Job(book), tmp_path, old, "the code of festkit has changed")
        made(again, tmp_path, "2026-01-02")
        append(house / "losses.py", '\n# another comment\n"""Said better."""\n')
        for name in ("_support/errors", "plots/style", "tables/render", "zoo/verify"):
            append(house / f"{name}.py", "\nchanged = 1\n")
        (last,), stale = check_done([Job(book)], tmp_path)
        assert (last.key, stale) == (again.key, {})


class TestKept:
    def test_stale_jobs_stand_for_themselves_and_what_is_made_from_them_says_so(
        self, tmp_path, book, monkeypatch
    ):
        first = Job(book, {"seed": 1})
        old = made(first, tmp_path)
        newer(monkeypatch)
        last = Job(book, {"run": Output(Job(book, {"seed": 1}), "run")})
        fresh = last.key
        (kept,), stale = check_done([last], tmp_path, keep_stale=True)
        assert kept.needs[0].key == old
        assert kept.resolve_outputs(lambda output: output.name)["run"] == f"{old}/run"
        assert kept.key != fresh
        assert list(stale) == [old, kept.key]
        assert stale[kept.key] == f"made from {old}"
        made(kept, tmp_path)
        assert check_done([last], tmp_path, keep_stale=True)[0][0].key == kept.key
        assert check_done([last], tmp_path)[0][0].key == fresh

    def test_another_process_runs_it_under_the_same_key(self, tmp_path, book, monkeypatch):
        job = Job(book)
        old = job.key
        pickled = pickle.dumps(job)
        newer(monkeypatch)
        assert pickle.loads(pickled).key == old != Job(book).key


@pytest.mark.system
def test_a_stale_job_is_run_again_and_its_folder_stays(tmp_path, monkeypatch):
    code = "import json; json.dump({'seed': seed}, open(f'{out}/metrics.json', 'w'))"
    job = Job(notebook(tmp_path, code, parameters=PARAMETERS), {"seed": 3})
    first = run_job(job, tmp_path)
    assert read_json(first.folder / "environment.json")["job"] == job.record
    assert run_job(job, tmp_path) == first
    newer(monkeypatch)
    second = run_job(job, tmp_path)
    assert (first.status, second.status) == ("done", "done")
    assert entries(tmp_path / "done") == sorted([first.key, second.key])
    assert len({first.key, second.key}) == 2
