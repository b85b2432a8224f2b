"""Headless Chromium for tests that press keys: its own debugging protocol over a pipe, no driver and no port."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

_KEYS = {
    "Escape": 27, "Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
}  # fmt: skip
_SHIFT = 8


def chromium() -> str:
    """The browser; tests that need one are skipped, by name, where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: the page was not driven")
    return found


class Browser:
    """One headless browser with one page; use it as a context manager. `requests` holds what the page asked for."""

    def __init__(self, profile: Path, downloads: Path, size: tuple[int, int] = (1280, 900)) -> None:
        self.profile, self.downloads, self.size = profile, downloads, size
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._buffer, self._number, self._session = b"", 0, ""

    def __enter__(self) -> "Browser":
        ours = os.pipe(), os.pipe()  # to the browser, from the browser
        high = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (ours[0][0], ours[1][1])]
        # the browser reads its orders on descriptor 3 and answers on 4
        script = f"import os, sys; os.dup2({high[0]}, 3); os.dup2({high[1]}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        flags = (
            "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
            "--disable-background-networking", "--hide-scrollbars", "--disable-dev-shm-usage",
            f"--user-data-dir={self.profile}",
            f"--window-size={self.size[0]},{self.size[1]}", "about:blank",
        )  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, chromium(), *flags],
            pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for one in (ours[0][0], ours[1][1], *high):
            os.close(one)
        self._to, self._from = ours[0][1], ours[1][0]
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._session = ""
            self._call("Browser.close")
            self._process.wait(10)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, url: str) -> None:
        """Load a page and wait until its script ran."""
        self._call("Page.navigate", url=url)
        self.wait(
            f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url.split('#')[0])})"
        )

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 20) -> None:
        """Until an expression in the page is true."""
        end = time.monotonic() + seconds
        while not self.ask(script):
            assert time.monotonic() < end, f"never true in the page: {script}"
            time.sleep(0.05)

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys one after the other, by their names; a single letter types itself."""
        for key in keys:
            facts: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key) or ord(key.upper())}
            if shift:
                facts["modifiers"] = _SHIFT
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else None)
            down = {**facts, "type": "keyDown", **({"text": text} if text else {})}
            self._call("Input.dispatchKeyEvent", **down)
            self._call("Input.dispatchKeyEvent", **{**facts, "type": "keyUp"})

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self._call("Input.insertText", text=text)

    def give(self, selector: str, file: Path) -> None:
        """Choose a file in a file field."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def look(self, width: int, height: int, *, dark: bool = False, media: str = "") -> bytes:
        """PNG of the whole page at a width in CSS px."""
        self.resize(width, height, dark=dark, media=media)
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def resize(self, width: int, height: int, *, dark: bool = False, media: str = "") -> None:
        """Show the page at a width in CSS px, in the dark or for print."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def downloaded(self, seconds: float = 20) -> Path:
        """The one file that the page saved."""
        end = time.monotonic() + seconds
        while True:
            files = [one for one in self.downloads.glob("*.json") if one.stat().st_size]
            if files:
                return max(files, key=lambda one: one.stat().st_mtime_ns)
            assert time.monotonic() < end, "nothing was saved"
            time.sleep(0.05)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        body: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            body["sessionId"] = self._session
        os.write(self._to, json.dumps(body).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            found = self._message(end)
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]
            self._event(found)

    def _event(self, found: dict[str, Any]) -> None:
        method, facts = found.get("method"), found.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"][:200])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(facts["exceptionDetails"].get("exception", {}).get("description")))
        elif method == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.complaints.append(facts["entry"]["text"])

    def _message(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise RuntimeError("the browser does not answer")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("the browser is gone")
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(text)
