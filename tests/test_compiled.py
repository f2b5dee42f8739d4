import numba
import pytest
from numba.core.dispatcher import Dispatcher

from festkit import _compiled
from festkit._compiled import SOURCES, compiled


def twice(x):
    return 2 * x


def test_the_cache_knows_every_source():
    stamp = compiled(twice)._cache._cache_file._source_stamp
    assert stamp[1] == _compiled._stamp()


@pytest.mark.parametrize("name", SOURCES)
def test_the_stamp_changes_with_every_source(name, tmp_path, monkeypatch):
    for source in SOURCES:
        copy = tmp_path / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("a")
    monkeypatch.setattr(_compiled, "__file__", str(tmp_path / "_compiled.py"))
    before = _compiled._stamp()
    (tmp_path / name).write_text("b")
    assert _compiled._stamp() != before


def test_without_a_folder_for_the_cache_it_compiles_anew(monkeypatch):
    def nowhere(self):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(Dispatcher, "enable_caching", nowhere)
    assert compiled(twice)(3) == 6


def test_without_numba_functions_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(_compiled, "HAS_NUMBA", False)
    assert compiled(twice) is twice


def test_it_is_compiled():
    assert isinstance(compiled(twice), numba.core.registry.CPUDispatcher)
