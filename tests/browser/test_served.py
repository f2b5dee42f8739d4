"""What ``festkit tune`` serves, opened at the address that it prints."""

import time

import pytest
from servedtuner import make_root, served_tuner

from .pages import WatchedPage


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("served"))


@pytest.fixture
def watched(browser, artifacts):
    page = browser.new_page()
    yield WatchedPage(page, artifacts)
    page.close()


def test_voila_shows_it_with_the_net_off_and_ends_the_kernel_of_a_page_that_is_left(root, watched):
    pytest.importorskip("voila")
    asked = []
    watched.page.on("request", lambda request: asked.append(request.url))
    with served_tuner(root, "voila", "run") as served:
        watched.page.goto(served.address)
        watched.page.get_by_text("press", exact=True).click()
        watched.page.get_by_text("pressed").wait_for()
        assert watched.page.title() == "festkit tuner"
        assert watched.errors == []
        assert len(served.server.children()) == 1
        watched.page.goto("about:blank")
        until = time.monotonic() + 20
        while served.server.children():
            assert time.monotonic() < until, "the kernel has not ended"
            time.sleep(0.1)
    here = f"http://{served.url.netloc}/"
    assert [url for url in asked if not url.startswith((here, "data:", "about:"))] == []


def test_lab_opens_the_notebook_and_asks_nothing(root, watched):
    with served_tuner(root, "lab", "run") as served:
        watched.page.goto(served.address, wait_until="networkidle")
        watched.page.locator(".jp-Notebook").get_by_text(str(root / "run")).first.wait_for()
        watched.screenshot("served-lab")
        assert watched.page.locator(".jp-Dialog, .Toastify__toast").count() == 0
        assert watched.errors == []
