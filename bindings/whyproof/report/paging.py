"""Reports of many pages: a folder with an index, for stores that one page cannot hold.

Rows are read, worked out and written one page at a time; what the index says about all of them
is added up on the way.  Memory is that of one page, whatever the store holds.
"""

from __future__ import annotations

import gc
import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from whyproof.engine.errors import DataError, StoreError
from whyproof.store import Store, StoredRow, utc_now, verify

from .html import page_environment
from .page import Page, page_of
from .shares import Share

__all__ = ["Index", "PageLine", "write_pages"]

_MOST_PAGES = 5_000
"""Most pages; beyond that they hold more rows, so that the index stays readable."""


@dataclass(frozen=True)
class PageLine:
    """One page in the index: its file, its first and last row, and what it holds."""

    file: str
    first: int
    last: int
    rows: int
    axps: int
    cxps: int
    complete: int
    failed: int


@dataclass
class Index:
    """What all pages say together.

    Parameters
    ----------
    lines
        One for each page.
    sizes
        Number of explanations by kind and size.
    statuses
        Rows by status.
    weak
        Explanations that are not proved minimal.
    rows, alone
        By feature: rows in which it appears, in which it decides alone.
    found
        By feature: sum over the rows of its share of reasons, with bounds.
    """

    lines: list[PageLine] = field(default_factory=list[PageLine])
    sizes: dict[str, Counter[int]] = field(
        default_factory=lambda: {"axp": Counter[int](), "cxp": Counter[int]()}
    )
    statuses: Counter[str] = field(default_factory=Counter[str])
    weak: int = 0
    rows: Counter[str] = field(default_factory=Counter[str])
    alone: Counter[str] = field(default_factory=Counter[str])
    found: dict[str, tuple[float, float, float]] = field(
        default_factory=dict[str, tuple[float, float, float]]
    )
    explained: int = 0

    def add(self, page: Page, file: str) -> None:
        """Take a page in."""
        rows = page.rows
        for row in rows:
            self.statuses[str(row.stored.status)] += 1
        for kind, sizes in page.sizes.items():
            self.sizes[kind] += sizes
        self.weak += page.weak
        count = len(page.explained)
        self.explained += count
        for line in page.features:
            self.rows[line.name] += line.rows
            self.alone[line.name] += line.alone
            before = self.found.get(line.name, (0.0, 0.0, 0.0))
            share = (line.share.found, line.share.lower, line.share.upper)
            found, lower, upper = (b + s * count for b, s in zip(before, share, strict=True))
            self.found[line.name] = found, lower, upper
        self.lines.append(
            PageLine(
                file,
                rows[0].stored.row,
                rows[-1].stored.row,
                len(rows),
                page.axps,
                page.cxps,
                len(page.with_status("complete")),
                len(page.with_status("failed")),
            )
        )

    @property
    def features(self) -> list[tuple[str, Share, int, int]]:
        """Name, mean share, rows in which it appears and decides alone; the largest first."""
        listed = [
            (name, Share(*(part / max(1, self.explained) for part in sums)))
            for name, sums in self.found.items()
        ]
        listed.sort(key=lambda entry: (-entry[1].found, -self.rows[entry[0]]))
        return [(name, share, self.rows[name], self.alone[name]) for name, share in listed]

    @property
    def axps(self) -> int:
        """Stored AXps."""
        return sum(line.axps for line in self.lines)

    @property
    def cxps(self) -> int:
        """Stored CXps."""
        return sum(line.cxps for line in self.lines)


def write_pages(
    store: Store,
    folder: str | Path,
    *,
    show: int = 8,
    rows: int = 100,
    title: str | None = None,
) -> Path:
    """Write the report of a store as a folder of pages; all of it or nothing.

    Parameters
    ----------
    store
        Open store.
    folder
        Folder to make; it must not hold anything yet.
    show
        Most AXps and most CXps written out per row.
    rows
        Rows on a page, at least 1.
    title
        Heading.

    Returns
    -------
    The index page.

    Raises
    ------
    DataError
        If the folder holds something, or `rows` is not positive.
    StoreError
        If it cannot be written.
    """
    folder = Path(folder)
    if rows < 1:
        raise DataError(f"a page holds at least one row, found {rows}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something already; name a new folder for the pages")
    passing = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(passing, ignore_errors=True)
        passing.mkdir()
        _write(store, passing, show, rows, title)
        if folder.exists():
            folder.rmdir()
        passing.replace(folder)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return folder / "index.html"


def _write(store: Store, folder: Path, show: int, rows: int, title: str | None) -> None:
    environment, generated = page_environment(), utc_now()
    verification = verify(store)
    index = Index()
    total = store.summary()["rows"]
    rows = max(rows, -(-total // _MOST_PAGES))
    template = environment.get_template("page.html.j2")
    last: Page | None = None
    for number, batch in enumerate(_batched(store.each_row(), rows), start=1):
        last = page_of(store, show, len(batch), only=batch, verification=verification)
        file = f"page-{number:05}.html"
        heading = f"{title or 'Why the model decides so'}: page {number}"
        text = template.render(page=last, title=heading, generated=generated, show=show)
        (folder / file).write_text(text, encoding="utf-8")
        index.add(last, file)
        gc.collect()  # pages are tied in knots that would pile up until there are many
    front = last or page_of(store, show, 0, only=(), verification=verification)
    text = environment.get_template("pages.html.j2").render(
        index=index, page=front, title=title, generated=generated, total=total
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


def _batched(rows: Iterator[StoredRow], size: int) -> Iterator[list[StoredRow]]:
    while batch := list(itertools.islice(rows, size)):
        yield batch
