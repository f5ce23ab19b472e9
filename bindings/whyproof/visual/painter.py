"""A page in the browser to paint a mask on an image: local, for one image, gone afterwards.

The server listens on this computer only, serves one page, and takes one kind of request: the
mask as a grid of zeros and ones, under a token that only the page knows.
"""

from __future__ import annotations

import json
import os
import secrets
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from whyproof.engine.errors import InputError

from .pixels import Pixels, read_image
from .regions.painted import mask_beside, read_mask, write_mask
from .sheet import data_url

__all__ = ["MaskPainter"]

_MOST_SIDE = 1024


class MaskPainter:
    """Serves the page of one image until its mask is saved.

    Parameters
    ----------
    image
        File of the image.
    out
        Where the mask goes; ``STEM_mask.png`` beside the image by default.
    port
        Of the local server; any free one by default.

    Examples
    --------
    ::

        with MaskPainter("zebra.png") as painter:
            webbrowser.open(painter.url)
            painter.serve()
    """

    def __init__(
        self,
        image: str | os.PathLike[str],
        out: str | os.PathLike[str] | None = None,
        port: int = 0,
    ) -> None:
        self.place = Path(image)
        self.pixels: Pixels = read_image(self.place)[0]
        height, width, _ = self.pixels.shape
        if max(height, width) > _MOST_SIDE:
            raise InputError(
                f"{width} x {height} pixels are too many to paint on; shrink the image"
            )
        self.out = Path(out) if out is not None else mask_beside(self.place)
        self.saved = False
        self.token = secrets.token_urlsafe(16)
        try:
            self._server = HTTPServer(("127.0.0.1", port), _handler(self))
        except OSError as error:
            raise InputError(f"port {port} cannot be used: {error}; leave --port out") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self._server.server_port}/{self.token}"

    def serve(self) -> None:
        """Answer requests until the mask is saved."""
        while not self.saved:
            self._server.handle_request()

    def close(self) -> None:
        """Stop listening."""
        self._server.server_close()

    def __enter__(self) -> MaskPainter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def page(self) -> str:
        """Return the page."""
        height, width, channels = self.pixels.shape
        shown = np.repeat(self.pixels, 3, axis=2) if channels == 1 else self.pixels
        mask: list[int] = []
        if self.out.is_file():
            try:
                mask = read_mask(self.out, height, width).astype(int).ravel().tolist()
            except InputError:
                mask = []  # what is there is no mask of this image: start afresh
        told = {"width": width, "height": height, "image": data_url(shown), "mask": mask}
        text = _page().render(name=self.place.name, out=str(self.out), told=json.dumps(told))
        return str(text)

    def save(self, cells: list[int]) -> str:
        """Write a mask; return a complaint, or nothing."""
        height, width, _ = self.pixels.shape
        if len(cells) != height * width or not set(cells) <= {0, 1}:
            return "the mask does not have the size of the image"
        mask = np.array(cells, dtype=np.bool_).reshape(height, width)
        if not mask.any() or mask.all():
            return "paint a part of the image: not nothing, and not all of it"
        write_mask(self.out, mask)
        self.saved = True
        return ""


def _handler(painter: MaskPainter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Two answers: the page, and what became of a mask."""

        def do_GET(self) -> None:
            """Send the page."""
            if self.path != f"/{painter.token}":
                self._send(404, "text/plain", "there is nothing here")
                return
            self._send(200, "text/html", painter.page())

        def do_POST(self) -> None:
            """Take a mask."""
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != f"/{painter.token}" or not 0 < length <= 4 * _MOST_SIDE**2:
                self._send(404, "text/plain", "there is nothing here")
                return
            try:
                cells: Any = json.loads(self.rfile.read(length))
                complaint = painter.save([int(cell) for cell in cells])
            except (ValueError, TypeError):
                complaint = "this is no mask"
            self._send(400 if complaint else 200, "text/plain", complaint or f"{painter.out}")

        def log_message(self, format: str, *args: object) -> None:
            """Keep the terminal quiet."""

        def _send(self, code: int, kind: str, text: str) -> None:
            body = text.encode("utf-8")
            self.send_response(code)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@cache
def _page() -> Any:  # noqa: ANN401
    from jinja2 import Environment

    source = files("whyproof.visual").joinpath("painter.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(source)
