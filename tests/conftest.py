"""Shared by all tests. Its place puts tests/ on sys.path: tests can import parity and goldens."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # on tensors this small a second thread costs more than it brings
settings.register_profile("festkit", deadline=None, derandomize=True)
settings.load_profile("festkit")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device of the torch tests: cpu, cuda, mps")


@pytest.fixture(scope="session")
def device(request):
    return request.config.getoption("--device")
