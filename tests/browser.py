"""Headless Chromium by its own DevTools: opens a page, runs JavaScript in it, takes a picture; needs `websockets`, which comes with Shiny."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> str | None:
    """The program, or None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page of a running browser."""

    def __init__(self, socket: Any):
        self.socket, self.number = socket, itertools.count(1)
        self.call("Page.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        number = next(self.number)
        self.socket.send(json.dumps({"id": number, "method": method, "params": given}))
        while True:
            told = json.loads(self.socket.recv(timeout=60))
            if told.get("id") == number:
                assert "error" not in told, told["error"]
                return told["result"]

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60.0) -> None:
        """Until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"{script} did not become true; the page says: {self.run('document.body.innerText')[:2000]}"
            time.sleep(0.1)

    def fill(self, name: str, value: Any) -> None:
        """Type into the field and leave it."""
        self.run(f"(() => {{ const f = document.getElementById('{name}'); $(f).val({json.dumps(str(value))}).trigger('change'); }})()")

    def open(self, address: str, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=address)

    def picture(self, path: Path, whole: bool = False) -> None:
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in `folder`, ended at the end."""
    line = [program, "--headless", "--no-sandbox", *QUIET, f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    running = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told, end = folder / "DevToolsActivePort", time.monotonic() + 60
        while not (told.is_file() and told.read_text(encoding="utf-8").strip()):
            assert running.poll() is None and time.monotonic() < end, "the browser did not start"
            time.sleep(0.1)
        port = told.read_text(encoding="utf-8").split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            first = next(t for t in json.load(answer) if t["type"] == "page")
        connect = importlib.import_module("websockets.sync.client").connect
        with connect(first["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        running.terminate()
        running.wait(20)
