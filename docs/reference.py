"""Hook of MkDocs: the API reference, a page per package, and links from the other pages to it."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SOURCE = Path(__file__).parents[1] / "blurdm_cli"

LINK = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)\)")
"""A link to a file outside of docs."""


API = """# Python API

::: blurdm_cli.pipeline.api
    options:
      inherited_members: true

::: blurdm_cli.errors
"""
"""The page for users; the others are for who works on blurdm."""


def pages() -> dict[str, str]:
    """The pages of the reference by their paths, as Markdown."""
    packages = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
    modules = sorted(path.stem for path in SOURCE.glob("*.py"))
    found = {"api": API}
    for name in packages:
        found[name] = f"# {name}\n\n::: blurdm_cli.{name}\n"
    found["pipeline"] += '    options:\n      filters: ["!^_", "!^api$"]\n'
    others = [name for name in modules if name not in ("__init__", "errors")]
    found["modules"] = "# Modules\n\n" + "\n\n".join(f"::: blurdm_cli.{name}" for name in others)
    return {f"reference/{name}.md": text for name, text in found.items()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation."""
    config.nav = [*(config.nav or []), {"Reference": list(pages())}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to source files lead to the reference; other files are not on the site."""

    def link(found: re.Match[str]) -> str:
        label, path = found[1], Path(found[2])
        if path.parts[0] != SOURCE.name:
            return label
        return f"[{label}][{'.'.join(path.with_suffix('').parts)}]"

    return LINK.sub(link, markdown)
