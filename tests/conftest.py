"""Shared by all tests. Its place puts tests/ on sys.path: tests can import parity and goldens."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # on tensors this small a second thread costs more than it brings
settings.register_profile("festkit", deadline=None, derandomize=True)
settings.load_profile("festkit")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With -n, a file's tests stay in one process, and so do all that need the browser."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - pytest works without it

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "browser" if file.startswith("tests/browser/") else file

    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker("browser")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device of the torch tests: cpu, cuda, mps")
    parser.addoption("--slow", action="store_true", help="largest networks, too, and every size")


@pytest.fixture(scope="session")
def device(request):
    return request.config.getoption("--device")
