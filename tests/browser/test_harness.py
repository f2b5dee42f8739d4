"""The harness itself: a button whose count the kernel keeps."""

import pytest

BUTTON = '''
import anywidget, traitlets

class Button(anywidget.AnyWidget):
    _esm = """
    export default { render({ model, el }) {
      const button = document.createElement("button");
      button.className = "count-me";
      const show = () => { button.textContent = `answered ${model.get("answer")}`; };
      button.addEventListener("click", () => {
        model.set("count", model.get("count") + 1);
        model.save_changes();
      });
      model.on("change:answer", show);
      show();
      el.append(button);
    } };
    """
    count = traitlets.Int(0).tag(sync=True)
    answer = traitlets.Int(0).tag(sync=True)

button = Button()
button.observe(lambda change: setattr(button, "answer", 10 * change["new"]), "count")
'''


def test_lab_counts_clicks(open_lab):
    lab = open_lab([BUTTON, "button"])
    assert lab.run_all() == []
    click(lab.page, times=3)
    assert lab.value("button.count") == 3
    assert lab.screenshot("harness-lab").stat().st_size > 0
    assert lab.errors == []


def click(page, times):
    button = page.locator("button.count-me")
    for n in range(1, times + 1):
        button.click()
        page.locator(f"text=answered {10 * n}").wait_for()


@pytest.fixture(scope="module")
def module_lab(open_lab_for_module):
    return open_lab_for_module(["n = 1", "1 / 0", "n = 2"])


def test_the_kernel_can_be_kept_busy_and_asked(module_lab):
    lab = module_lab
    assert lab.run_all() == ["ZeroDivisionError: division by zero"]
    lab.start("import time; time.sleep(1); n = 5")
    assert lab.value("{'n': [n, None]}") == {"n": [5, None]}
    lab.execute("n += 1")
    assert lab.value("n") == 6
    with pytest.raises(Exception, match="in the kernel: NameError: name 'm' is not defined"):
        lab.value("m")
    with pytest.raises(Exception, match=r"the kernel runs .*sleep\(2\)'.*: not within 0\.2 s"):
        lab.execute("time.sleep(2)", seconds=0.2)
    lab.wait_for_kernel("idle")


def test_themes(module_lab):
    for theme, light in (("dark", "false"), ("light", "true")):
        module_lab.set_theme(theme)
        assert module_lab.page.locator("body").get_attribute("data-jp-theme-light") == light


def test_an_error_of_the_page_is_kept(module_lab):
    module_lab.page.evaluate("setTimeout(() => { throw new Error('broken') })")
    module_lab.page.evaluate("console.error('torn')")
    module_lab.page.wait_for_timeout(100)
    kept = [error.split(" (")[0] for error in module_lab.errors]
    own = ("exception: broken", "console: torn")
    assert [error for error in kept if error in own] == list(own)  # the Lab may have its own, too
