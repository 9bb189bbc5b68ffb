"""Sphinx's settings: the book in spec/, read in place, as a site that needs no network."""

import sys
from pathlib import Path

from lossdemo.verify.claims import slug

sys.path.insert(0, str(Path(__file__).parent))

project = html_title = "lossdemo"
extensions = ["myst_parser", "sphinx_copybutton", "pages"]
root_doc = "README"
exclude_patterns = ["figures"]
language = "en"

myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
myst_heading_slug_func = slug

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
templates_path = ["templates"]
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
_SIDEBAR = ("brand", "search", "scroll-start", "navigation", "scroll-end")
html_sidebars = {"**": [f"sidebar/{part}.html" for part in _SIDEBAR]}
html_copy_source = html_use_index = html_show_copyright = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

copybutton_prompt_text = r">>> |\.\.\.(?: |$)"
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = False
