"""A headless Chromium, driven by its own protocol (CDP): opens a page, presses and writes, and hears what the console says."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

PATIENCE_S = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page:
    """One page; `said` is what the console and the network had to complain of."""

    def __init__(self, socket: Any):
        self.socket, self.n, self.said = socket, 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self.n += 1
        self.socket.send(json.dumps({"id": self.n, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv(timeout=PATIENCE_S))
            if told.get("id") == self.n:
                assert "error" not in told, f"{method}: {told['error']}"
                return told["result"]
            self._hear(told)

    def _hear(self, told: dict[str, Any]) -> None:
        method, params = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(params["exceptionDetails"].get("exception", {}).get("description") or params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.said.append(" ".join(str(it.get("value", it.get("description"))) for it in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.said.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def ask(self, script: str) -> Any:
        """What an expression gives."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{script}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.ask(f"Boolean({script})"):
            assert time.monotonic() < end, f"not so within {PATIENCE_S:.0f} s: {script}"
            time.sleep(0.05)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """As on a screen of that size, in that theme; below 600 pixels it is a phone's."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def shot(self, file: Path, whole: bool = False) -> None:
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))


@contextlib.contextmanager
def page(folder: Path) -> Iterator[Page]:
    """A page of a Chromium that lives meanwhile, and keeps its things in `folder`; where there is none the test is skipped."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "about:blank"]
    process = subprocess.Popen([*command, *quiet], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        address, lines = "", []
        for line in process.stderr:
            lines.append(line)
            if match := re.search(r"DevTools listening on (ws://\S+)", line):
                address = match[1]
                break
        assert address, f"{found} did not start: {''.join(lines)}"
        with connect(address, max_size=None, proxy=None) as socket:
            socket.send(json.dumps({"id": 0, "method": "Target.getTargets"}))
            targets = json.loads(socket.recv(timeout=PATIENCE_S))["result"]["targetInfos"]
            target = next(it["targetId"] for it in targets if it["type"] == "page")
        own = re.sub(r"/devtools/.*", f"/devtools/page/{target}", address)
        with connect(own, max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(20)
