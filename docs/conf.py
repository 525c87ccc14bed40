"""Sphinx's settings for the documentation site, which ``make docs`` builds.

The source folder is the root of the repository, so that every link between pages, studies and
notebooks is the same relative path here and on GitHub.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from sr_gan import __version__

project = "sr_gan"
release = version = __version__
copyright = "the authors of sr_gan, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "experiments/*.md",
    "experiments/**/*.md",
    "src/sr_gan/models/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/package.md", ".venv", "runs", "data", "build", "dist", "**/.*"]

html_theme = "furo"
html_title = f"sr_gan {release}"
html_show_sourcelink = False
html_copy_source = False
html_extra_path = ["_static/index.html"]  # leads from the folder of the site to its first page
templates_path: list[str] = []

myst_heading_anchors = 4
nb_execution_mode = "off"  # the notebooks are committed with their outputs
nb_merge_streams = True

autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]

suppress_warnings = ["toc.not_included"]  # tables of studies, which their pages link to
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sr_gan).*")]  # other packages have sites of their own
