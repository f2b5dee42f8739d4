import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from festkit._support import files as _files
from festkit._support.files import (
    atomic_folder,
    atomic_write,
    flush_folder,
    read_json,
    write_json,
    write_text,
)


def no_space(*_args, **_options):
    raise OSError(28, "No space left on device")


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


class TestWholeFile:
    def test_it_appears_at_the_end_and_only_then(self, tmp_path):
        path = tmp_path / "deep" / "down" / "a.txt"
        with atomic_write(path) as part:
            part.write_text("new")
            assert not path.exists()
            assert part.parent == path.parent
        assert path.read_text() == "new"
        assert entries(path.parent) == ["a.txt"]

    @pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("before", [None, "old"])
    def test_an_error_leaves_all_as_it_was(self, tmp_path, error, before):
        path = tmp_path / "a.txt"
        if before:
            path.write_text(before)
        with pytest.raises(error), atomic_write(path) as part:  # noqa: PT012
            part.write_text("half")
            raise error
        assert entries(tmp_path) == (["a.txt"] if before else [])
        assert before is None or path.read_text() == before

    def test_a_disk_that_is_full_when_the_data_is_flushed(self, tmp_path, monkeypatch):
        (tmp_path / "a.txt").write_text("old")
        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            write_text(tmp_path / "a.txt", "new")
        assert entries(tmp_path) == ["a.txt"]
        assert (tmp_path / "a.txt").read_text() == "old"

    def test_a_disk_that_is_full_while_writing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Path, "write_text", no_space)
        with pytest.raises(OSError, match="No space left"):
            write_json(tmp_path / "a.json", {"a": 1})
        assert entries(tmp_path) == []

    def test_threads_that_write_one_file_do_not_meet(self, tmp_path):
        path, texts = tmp_path / "a.txt", [str(n) * 10_000 for n in range(4)]
        together = Barrier(len(texts))

        def write(text):
            with atomic_write(path) as part:
                together.wait(timeout=30)
                part.write_text(text)
                together.wait(timeout=30)
                assert part.read_text() == text

        with ThreadPoolExecutor(len(texts)) as threads:
            list(threads.map(write, texts))
        assert path.read_text() in texts
        assert entries(tmp_path) == ["a.txt"]

    def test_hosts_whose_processes_have_one_number_do_not_meet(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "getpid", lambda: 17)
        with atomic_write(tmp_path / "a.txt") as first, atomic_write(tmp_path / "a.txt") as second:
            assert first != second
            first.write_text("1")
            second.write_text("2")
        assert (tmp_path / "a.txt").read_text() == "1"  # the outer block ends last

    def test_others_may_read_it_as_any_new_file(self, tmp_path):
        write_text(tmp_path / "a.txt", "a")
        (tmp_path / "b.txt").touch()
        assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode

    def test_nothing_written_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
            pass
        assert entries(tmp_path) == []

    def test_a_killed_process_leaves_nothing_under_the_final_name(self, tmp_path):
        script = f"""
import os, signal
from festkit._support.files import atomic_write
with atomic_write({str(tmp_path / "a.txt")!r}) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", script], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not (tmp_path / "a.txt").exists()
        write_text(tmp_path / "a.txt", "whole")
        assert (tmp_path / "a.txt").read_text() == "whole"


class TestWholeFolder:
    def test_it_appears_at_the_end_readable_by_others(self, tmp_path):
        target = tmp_path / "deep" / "set"
        with atomic_folder(target) as part:
            (part / "a.txt").write_text("a")
            assert not target.exists()
        assert entries(target) == ["a.txt"]
        assert entries(target.parent) == ["set"]
        assert target.stat().st_mode & 0o777 == 0o755

    def test_its_files_are_on_the_disk_before_it_appears(self, tmp_path, monkeypatch):
        flushed = []
        monkeypatch.setattr(_files, "flush_folder", lambda part: flushed.extend(entries(part)))
        with atomic_folder(tmp_path / "set") as part:
            (part / "a.txt").write_text("a")
        assert flushed == ["a.txt"]

    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    def test_an_error_leaves_nothing(self, tmp_path, error):
        with pytest.raises(error), atomic_folder(tmp_path / "set") as part:  # noqa: PT012
            (part / "a.txt").write_text("half")
            raise error
        assert entries(tmp_path) == []

    def test_what_stands_there_stays(self, tmp_path):
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "mine.txt").write_text("mine")
        with (
            pytest.raises(FileExistsError, match=r"set already exists; choose another folder"),
            atomic_folder(tmp_path / "set"),
        ):
            pass
        assert entries(tmp_path / "set") == ["mine.txt"]


class TestFlushFolder:
    def test_links_and_pipes_are_passed_over(self, tmp_path):
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner" / "dangling").symlink_to("nothing")
        (tmp_path / "round").symlink_to(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        flush_folder(tmp_path)

    def test_a_file_that_may_not_be_written_is_flushed(self, tmp_path, monkeypatch):
        (tmp_path / "a.txt").write_text("a")
        opened, real = [], os.open

        def read_only(path, flags, *mode, **options):
            if flags & (os.O_WRONLY | os.O_RDWR):
                raise PermissionError(13, "Permission denied", str(path))
            opened.append(Path(path).name)
            return real(path, flags, *mode, **options)

        monkeypatch.setattr(os, "open", read_only)
        flush_folder(tmp_path)
        assert opened == ["a.txt", tmp_path.name]

    def test_a_file_that_may_not_be_opened_is_passed_over(self, tmp_path, monkeypatch):
        (tmp_path / "a.txt").write_text("a")

        def refused(path, *_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "open", refused)
        flush_folder(tmp_path)

    def test_a_full_disk_is_told(self, tmp_path, monkeypatch):
        (tmp_path / "a.txt").write_text("a")
        monkeypatch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            flush_folder(tmp_path)


class TestJson:
    def test_round_trip(self, tmp_path):
        value = {"a": [1, 2.5, None, True], "ß": "–"}
        write_json(tmp_path / "a.json", value)
        assert read_json(tmp_path / "a.json") == value
        assert (tmp_path / "a.json").read_text().endswith("}\n")

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_no_number_no_file(self, tmp_path, value):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"a": value})
        assert entries(tmp_path) == []

    @pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00"])
    def test_an_unreadable_file_is_named(self, tmp_path, content):
        (tmp_path / "half.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"half\.json is not readable JSON"):
            read_json(tmp_path / "half.json")

    def test_files_are_written_through_whole_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_files, "flush", no_space)
        with pytest.raises(OSError, match="No space"):
            write_json(tmp_path / "a.json", json.loads("[1]"))
        assert entries(tmp_path) == []
