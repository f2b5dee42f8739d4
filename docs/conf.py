"""Configuration of the documentation site (Sphinx, MyST-NB, pydata theme): ``make docs``."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import reference

import festkit

project = "festkit"
author = "The festkit authors"
project_copyright = author
release = version = festkit.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "gallery/README.md"]

# Pages are Markdown; notebooks are shown as they were executed.
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
suppress_warnings = ["mystnb.unknown_mime_type"]

# Docstrings are Google style; types come from annotations.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
napoleon_attr_annotations = True
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "festkit"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    # Tables of notebooks and of results need the width.
    "secondary_sidebar_items": {"gallery/*": [], "[!g]*": ["page-toc"]},
}
html_sidebars = {"index": [], "tutorial": []}
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


OUTSIDE = {
    "benchmarks/RESULTS.md": "/benchmarks.md",
    "weights/AGENDA.md": "/agenda.md",
    "data/README.md": "/datasets.md",
    "CONTRIBUTING.md": "/howto/contributing.md",
    "CHANGELOG.md": "/changelog.md",
    "docs/": "/",
}
"""Files outside docs/, linked relative to a page, and the pages that include them."""


def link_pages(app, name, source):
    """Replace links to files outside docs/ by links to the pages that include them."""
    for path, page in OUTSIDE.items():
        source[0] = re.sub(rf"\]\((\.\./)*{re.escape(path)}", f"]({page}", source[0])


def setup(app):
    """Write the pages that are made from the code, before anything is read."""
    app.connect("builder-inited", lambda _: reference.write(Path(__file__).parent / "reference"))
    app.connect("source-read", link_pages)
    app.connect("include-read", lambda app, path, name, source: link_pages(app, name, source))
