"""A notebook open in a browser: as a document in JupyterLab, as an application in Voila."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # these tests are skipped where there is no Playwright
    from playwright.sync_api import ConsoleMessage, Page

SECONDS = 60

VOILA_ICONS = "https://cdn.jsdelivr.net/npm/@fortawesome/"
"""Icons that Voila's template asks of the net, which is off here; nothing of ours needs them."""

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

BOUNDED = """([what, seconds, argument]) => Promise.race([
  (%s)(argument),
  new Promise((_, refuse) => setTimeout(
    () => refuse(new Error(`${what}: not within ${seconds} s`)), 1000 * seconds)),
])"""

NOTEBOOK_READY = """async () => {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  while (!window.jupyterapp) await pause();
  await jupyterapp.restored;
  while (!jupyterapp.shell.currentWidget?.sessionContext) await pause();
  const { context, sessionContext } = jupyterapp.shell.currentWidget;
  await context.ready;
  await sessionContext.ready;
  while (sessionContext.session?.kernel?.status !== "idle") await pause();
  jupyterapp.commands.execute("application:toggle-left-area");
}"""

RUN_ALL = """async () => {
  await jupyterapp.commands.execute("notebook:run-all-cells");
  const cells = jupyterapp.shell.currentWidget.model.sharedModel.toJSON().cells;
  return cells.flatMap((cell) => cell.outputs ?? [])
    .filter((output) => output.output_type === "error")
    .map((output) => `${output.ename}: ${output.evalue}`);
}"""

EXECUTE = """async ({ code, expression }) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const user_expressions = expression ? { value: expression } : {};
  const done = kernel.requestExecute({ code, store_history: false, user_expressions }).done;
  const { content } = await done;
  const failed = [content, content.user_expressions?.value].find((c) => c?.status === "error");
  if (failed) throw new Error(`in the kernel: ${failed.ename}: ${failed.evalue}`);
  return content.user_expressions.value?.data["text/plain"];
}"""

START = """({ code }) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  kernel.requestExecute({ code, store_history: false });
}"""

WAIT_FOR = """async (status) => {
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  while (kernel.status !== status) await new Promise((resolve) => setTimeout(resolve, 10));
}"""

SET_THEME = """async (theme) => {
  await jupyterapp.commands.execute("apputils:change-theme", { theme });
  while (document.body.dataset.jpThemeName !== theme)
    await new Promise((resolve) => setTimeout(resolve, 20));
}"""


class WatchedPage:
    """A page that keeps its errors, and its screenshots under the artifacts.

    Attributes:
        page: Playwright's page.
        errors: what went wrong in the page so far: exceptions and errors on its console.
    """

    def __init__(self, page: Page, artifacts: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self._artifacts = artifacts
        page.set_default_timeout(1000 * SECONDS)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if message.type == "error" and not url.startswith(VOILA_ICONS):
            self.errors.append(f"console: {message.text} ({url})")

    def screenshot(self, name: str, selector: str | None = None) -> Path:
        """A picture of the page, or of one element of it, as ``NAME.png`` among the artifacts."""
        path = self._artifacts / f"{name}.png"
        (self.page.locator(selector).first if selector else self.page).screenshot(path=path)
        return path


class LabPage(WatchedPage):
    """A notebook in JupyterLab, its kernel idle, its left side bar closed."""

    def open(self, url: str) -> None:
        """Open the notebook and wait until its kernel is idle."""
        self.page.goto(url)
        self.ask(NOTEBOOK_READY, what="the notebook opens with an idle kernel")
        self.set_theme("light")

    def run_all(self, seconds: float = SECONDS) -> list[str]:
        """Run every cell; gives back what the cells raised, as "ValueError: ..."."""
        errors: list[str] = self.ask(RUN_ALL, what="all cells run", seconds=seconds)
        return errors

    def execute(self, code: str, seconds: float = SECONDS) -> None:
        """Run code in the kernel, outside the notebook, and wait for its end."""
        self.ask(EXECUTE, {"code": code}, what=f"the kernel runs {code!r}", seconds=seconds)

    def start(self, code: str) -> None:
        """Run code in the kernel without waiting; ``start("import time; time.sleep(3)")``.

        Comes back when the kernel has begun.
        """
        self.ask(START, {"code": code}, what=f"the kernel is sent {code!r}")
        self.wait_for_kernel("busy")

    def wait_for_kernel(self, status: str = "idle", seconds: float = SECONDS) -> None:
        """Wait until the kernel is "idle" or "busy"."""
        self.ask(WAIT_FOR, status, what=f"the kernel is {status}", seconds=seconds)

    def value(self, expression: str, seconds: float = SECONDS) -> Any:
        """The value of a Python expression in the kernel, by way of JSON."""
        asked = {"code": "", "expression": f"__import__('json').dumps({expression})"}
        text = self.ask(EXECUTE, asked, what=f"the value of {expression}", seconds=seconds)
        return json.loads(ast.literal_eval(text))

    def set_theme(self, theme: str) -> None:
        """Change the theme to "light" or "dark"; it stays for the pages opened later."""
        self.ask(SET_THEME, THEMES[theme], what=f"the theme is {theme}")

    def shut_down(self) -> None:
        """End the kernel and close the page."""
        script = "() => jupyterapp.shell.currentWidget?.sessionContext.shutdown()"
        self.ask(script, what="the kernel ends")
        self.page.context.close()

    def ask(self, script: str, argument: Any = None, *, what: str, seconds: float = SECONDS) -> Any:
        """Evaluate a function in the page; a promise that is never kept is an error, no wait."""
        return self.page.evaluate(BOUNDED % script, [what, seconds, argument])


class VoilaPage(WatchedPage):
    """A notebook as an application in Voila: its cells have run, their code is not shown."""

    def open(self, url: str) -> None:
        """Open the notebook; the page is there when every cell has run."""
        self.page.goto(url)

    def shut_down(self) -> None:
        """Leave the page, which then ends its kernel."""
        self.page.goto("about:blank")
        self.page.context.close()
