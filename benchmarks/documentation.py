"""English technical documentation as documents of 1 to 5 KB, for the benchmarks of deduplication.

BENCH_TEXT holds unpacked Debian packages, a folder each; those named here are taken, of each its pages and text files.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text

from benchmarks import real_text

PACKAGES = (
    "python3.11-doc",
    "openjdk-17-doc",
    "qtbase5-doc-html",
    "rust-doc",
    "libboost1.81-doc",
    "linux-doc-6.1",
    "perl-doc",
    "git-doc",
    "postgresql-doc-15",
    "bible-kjv-text",
    "jargon-text",
)


def documents(size: int) -> list[str]:
    """About so many bytes of text, from files in the order of a hash of their paths; each text once."""
    found: dict[str, None] = {}
    left = size
    for path in _files():
        for text in cut(_text(path)):
            if text not in found:
                found[text] = None
                left -= len(text.encode())
        if left <= 0:
            return list(found)
    print(f"BENCH_TEXT has {left:,} bytes less than were asked for")
    return list(found)


def cut(text: str) -> Iterator[str]:
    """Documents that end at the ends of paragraphs: at least 1 KB, at most about 5, mostly around 3."""
    held = ""
    for paragraph in text.split("\n\n"):
        if held and len(held) + len(paragraph) > 5_000:
            yield held
            held = ""
        held += paragraph[:5_000].strip("\n") + "\n\n"
        if len(held) > 1_000 + int.from_bytes(hashlib.blake2b(held[:500].encode(), digest_size=2).digest()) % 4_000:
            yield held
            held = ""
    if len(held) > 1_000:
        yield held


def _files() -> list[Path]:
    top = real_text.folder()
    tops = [top / name for name in PACKAGES if (top / name).is_dir()] or [top]
    kinds = (*real_text.PAGES, ".txt", ".rst", ".pod")
    found = [p for own in tops for p in own.rglob("*") if p.suffix in kinds and p.is_file() and not p.is_symlink()]
    return sorted(found, key=lambda path: hashlib.sha256(str(path.relative_to(top)).encode()).digest())


def _text(path: Path) -> str:
    text = path.read_text(errors="replace")
    if path.suffix in real_text.PAGES:
        text = extract_plain_text(text, main_content=True, preserve_formatting=True) or ""
    return text
