"""The tuner in a page without Jupyter: its module, and a model that asks Python directly."""

import base64

from festkit.tuner.widget import PAGE, TunerWidget, page_script

PAGE_HTML = """<!DOCTYPE html><html><body style="margin: 0" data-jp-theme-light="true">
<style>{css}</style><div id="place"></div></body></html>"""

START = """async ({ script, state }) => {
  const heard = {};
  const view = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const tell = ([content, buffers]) =>
    heard["msg:custom"].forEach((act) => act(content, buffers.map(view)));
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes() {},
    on: (name, act) => (heard[name] ??= []).push(act),
    off() {},
    send: (question) => window.askPython(question).then((answer) => answer && tell(answer)),
  };
  window.tellPage = tell;
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  (await import(url)).default.render({ model, el: document.getElementById("place") });
}"""


def open_plain(page, tuner, held=()):
    """Show a tuner in a page; questions of a kind in ``held`` get no answer."""
    widget: TunerWidget = tuner.widget

    def answer(question):
        kind = question["type"]
        if kind in held:
            return None
        widget._newest[kind] = question
        content, buffers = getattr(widget, f"_{kind}")(question)
        return content, [base64.b64encode(each).decode() for each in buffers]

    page.expose_function("askPython", answer)
    page.set_content(PAGE_HTML.format(css=(PAGE / "tuner.css").read_text(encoding="utf-8")))
    state = {name: getattr(widget, name) for name in ("setup", "th1", "th2", "rule", "index")}
    page.evaluate(START, {"script": page_script(), "state": state})
