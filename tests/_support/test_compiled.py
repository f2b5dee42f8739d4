import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import pytest

from festkit._support import jit
from festkit._support.jit import compiled


def twice(x):
    return 2 * x


@pytest.fixture(autouse=True)
def look_anew():
    jit._cache_folder.cache_clear()
    yield
    jit._cache_folder.cache_clear()


def test_the_cache_knows_every_source(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    places = []
    for stamp in ("a", "b"):
        monkeypatch.setattr(jit, "_stamp", lambda stamp=stamp: stamp)
        jit._cache_folder.cache_clear()
        places.append(Path(compiled(twice).stats.cache_path).parent)
    assert places == [tmp_path / "compiled-a", tmp_path / "compiled-b"]
    assert tmp_path == Path(numba.config.CACHE_DIR)


def test_it_lies_beside_the_kit_or_else_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(jit, "_stamp", lambda: "a")
    monkeypatch.setattr(jit, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "kit" / "jit.py"))
    assert jit._cache_folder() == tmp_path / "kit" / "__pycache__" / "compiled-a"
    jit._cache_folder.cache_clear()
    monkeypatch.setattr(jit, "__file__", "/proc/kit/jit.py")  # where nobody may write
    assert jit._cache_folder() == tmp_path / "cache" / "compiled-a"
    assert numba.config.CACHE_DIR == ""


def test_threads_that_import_at_one_time_do_not_mix_their_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: compiled(twice).stats.cache_path, range(40)))
    assert {Path(each).parent for each in found} == {jit._cache_folder()}
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_the_stamp_changes_with_every_file_of_compiled_functions(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "_support" / "jit.py"))
    files = [tmp_path / "ops" / "a.py", tmp_path / "b.py"]
    (tmp_path / "ops").mkdir()
    stamps = []
    for text in ("@compiled", "@compiled now"):
        for file in files:
            file.write_text(text)
            stamps.append(jit._stamp())
    assert len(set(stamps)) == 4
    (tmp_path / "c.py").write_text("")  # holds no compiled function
    assert jit._stamp() == stamps[-1]


def test_without_a_folder_for_the_cache_it_compiles_anew(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/proc/nowhere")
    function = compiled(twice)
    assert (function(3), function.stats.cache_path) == (6, None)


def test_a_function_without_a_file_is_compiled_anew():
    space = {}
    exec("def thrice(x):\n    return 3 * x", space)
    assert compiled(space["thrice"])(3) == 9


def test_it_is_compiled():
    assert isinstance(compiled(twice), numba.core.registry.CPUDispatcher)


def test_somebody_who_waits_is_told_once(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(jit.event._registered, "numba:compile", [jit._Announcement()])
    numba.njit(lambda x: x + 2)(1)  # of another package
    assert capsys.readouterr().err == ""
    for _ in range(2):
        ours = numba.njit(lambda x: x + 1)
        ours.__module__ = "festkit.ops"
        ours(1)
    assert capsys.readouterr().err.count("once per machine") == 1
