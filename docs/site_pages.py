"""A hook of mkdocs: files beside `docs/` become pages of the site, and links to them lead there.

README, CHANGELOG and their like stay where people look for them, with links that work there. On the
site each is a page, and a link that leads from one place to the other is rewritten.
"""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "results.md",
    "examples/README.md": "examples.md",
    "examples/data/README.md": "data.md",
}
"""Files of the repository, and the pages that they become."""
FOLDERS = {"examples": "examples.md"}
"""Folders of the repository, and the pages that show what they hold."""
LINK = re.compile(r"\[(?P<words>[^]]*)\]\((?P<target>[^)#\s]+)(?P<rest>[^)]*)\)")
SCRIPT = re.compile(r"^## (\d\d_\w+\.py)$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of `docs/`, and those beside it that become pages."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return a page's text with its links as the site has them, and the examples with their
    code.
    """
    uri = page.file.src_uri
    if uri == "index.md":
        page.meta["hide"] = ["navigation"]  # which would hold this page alone
    if uri == "examples.md":
        markdown = SCRIPT.sub(lambda found: f"{found[0]}\n\n{code(found[1])}\n\n", markdown)
    home = next((path for path, name in PAGES.items() if name == uri), f"docs/{uri}")
    return LINK.sub(lambda link: moved(link, home, uri), under_one_heading(markdown))


def under_one_heading(markdown: str) -> str:
    """Return a page whose headings all come under the first, as its table of contents asks for.
    Headings in blocks of code stay, which are comments.
    """
    first, *blocks = re.split(r"^(```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    title, _, rest = first.partition("\n")
    parts = [rest, *blocks]
    if not any(re.search("^# ", part, re.MULTILINE) for part in parts[::2]):
        return markdown
    parts[::2] = [re.sub("^#", "##", part, flags=re.MULTILINE) for part in parts[::2]]
    return title + "\n" + "".join(parts)


def moved(link: re.Match[str], home: str, uri: str) -> str:
    """Return a link of the file `home` as it is on the page `uri`. Where its words are the name of
    a page's file they become the page's title.

    Raises:
        PluginError: a link to a file of the repository that is no page.

    """
    words, target, rest = link["words"], link["target"], link["rest"]
    if ":" in target:
        return link[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(home), target))
    there = PAGES.get(path) or FOLDERS.get(path)
    if there is None and path.startswith("docs/"):
        there = path.removeprefix("docs/")
    if there is None:
        raise PluginError(f"{home}: a link to {target}, which is no page of the site")
    if words.endswith(".md"):
        words = title_of(ROOT / path)
    return f"[{words}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{rest})"


def title_of(page: Path) -> str:
    """Return the first heading of a page."""
    return page.read_text("utf-8").partition("# ")[2].splitlines()[0]


def code(name: str) -> str:
    """Return a script as a block of code, without the docstring that the page says in words."""
    text = (ROOT / "examples" / name).read_text("utf-8")
    body = ast.parse(text).body
    lines = text.splitlines()[body[1].lineno - 1 :]
    return "```python\n" + "\n".join(lines) + "\n```"
