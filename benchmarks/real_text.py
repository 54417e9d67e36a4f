"""Real text for the benchmarks of the corpus stage: a folder given by BENCH_TEXT, of which so many bytes are taken."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

PAGES = (".html", ".htm")
TEXTS = (".txt", ".c", ".h", ".rst", ".md", ".S", ".po", ".py", ".rs")


def folder() -> Path:
    """BENCH_TEXT: a folder with pages and text files at any depth, e.g. the unpacked Debian documentation packages."""
    found = os.environ.get("BENCH_TEXT")
    if not found or not Path(found).is_dir():
        raise SystemExit("Set BENCH_TEXT to a folder of real text: HTML pages and text files, at any depth")
    return Path(found)


def chosen(size: int) -> Iterator[Path]:
    """Files of about so many bytes in all, in the order of a hash of their paths below the folder."""
    top = folder()
    found = [p for p in top.rglob("*") if p.suffix in PAGES + TEXTS and p.is_file() and not p.is_symlink()]
    keyed = sorted(found, key=lambda p: hashlib.sha256(str(p.relative_to(top)).encode()).digest())
    taken = 0
    for path in keyed:
        if taken >= size:
            return
        taken += path.stat().st_size
        yield path


def sources(to: Path, size: int) -> dict[str, Path]:
    """Hard links to so many bytes of real files: a folder of pages and a folder of texts."""
    made = {"pages": to / "pages", "texts": to / "texts"}
    for path in made.values():
        path.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(chosen(size)):
        name = made["pages" if path.suffix in PAGES else "texts"] / f"{i:06d}{path.suffix}"
        try:
            os.link(path, name)
        except OSError:
            shutil.copy(path, name)
    return made


def recipe(made: dict[str, Path], vocabulary: int = 4096, extra: str = "") -> str:
    """A recipe over such folders, as a user would write it: pages by their main content, texts as they are."""
    return f"""recipe = "tiny"
[[corpus.sources]]
name = "pages"
kind = "html"
path = "{made["pages"]}"
[[corpus.sources]]
name = "texts"
kind = "text"
path = "{made["texts"]}/*"
{extra}
[tokens]
vocab_size = {vocabulary}
[model]
vocab_size = {vocabulary}
"""
