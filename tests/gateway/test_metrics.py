"""``/metrics`` as Prometheus scrapes it: over HTTP, with a token, server or no server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from mm.metrics import METRICS
from tests.kit import wait_for
from tests.kit.commands import MM
from tests.kit.running import RunningSystem
from tests.kit.scraped import Served

pytestmark = [pytest.mark.server, pytest.mark.slow]


class Site:
    """A gateway that runs, and requests to it."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self._url = url
        self._data_dir = data_dir

    def get(self, path: str, token: str = "viewer") -> tuple[int, str, str]:
        """The status, the content type and the text of an answer."""
        secret = (self._data_dir / "tokens" / token).read_text().strip() if token else "none"
        asked = Request(f"{self._url}{path}", headers={"Authorization": f"Bearer {secret}"})
        try:
            with urlopen(asked, timeout=30) as answer:
                return answer.status, answer.headers["content-type"], answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.headers["content-type"], error.read().decode()

    def answers(self) -> bool:
        """Whether it listens by now."""
        try:
            return self.get("openapi.json")[0] == 200
        except URLError:
            return False

    def scrape(self) -> Served:
        """One answer."""
        status, kind, text = self.get("metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        return Served(text.encode())

    def figures(self) -> dict[str, float]:
        """The sums of the series of each metric."""
        return {name: sum(series.values()) for name, series in self.scrape().series.items()}

    def server_starts(self) -> float | None:
        """How many starts of the server have been counted."""
        return self.scrape()("mm_lifecycle_events_total", event="server_started")


@contextmanager
def served(data_dir: Path) -> Iterator[Site]:
    """`mm serve` on any free port."""
    words = [*MM, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(data_dir)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert "page and API at " in line, line
            reader = threading.Thread(target=process.stderr.read)
            reader.start()
            site = Site(line.partition("page and API at ")[2].partition(";")[0], data_dir)
            wait_for("an answer", site.answers)
            yield site
        finally:
            process.terminate()
            process.wait(20)
            reader.join()


@pytest.fixture
def site(system: RunningSystem) -> Iterator[Site]:
    """A gateway to a system that trades."""
    system.start()
    with served(system.data_dir) as found:
        yield found


def test_a_scrape(site: Site, system: RunningSystem) -> None:
    """Who may read gets every figure; orders are followed from the first scrape on."""
    first = site.figures()
    assert first["mm_system_up"] == 1
    assert first["mm_orders_total"] > 0
    assert "mm_audit_violations" not in first
    wait_for("orders that are followed", lambda: site.figures()["mm_order_quote_seconds_count"])
    status, _, text = site.get("api/audit")
    assert (status, json.loads(text)["ok"]) == (200, True)
    wait_for("the verdict", lambda: site.figures().get("mm_audit_violations") == 0)
    _, _, answer = site.get("metrics")
    assert [name for name in METRICS if f"# TYPE {name} " not in answer] == []
    assert site.get("metrics", token="operator")[0] == 200
    assert site.get("metrics", token="client-by-http")[0] == 403
    assert site.get("metrics", token="")[0] == 401
    assert site.get("metrics?colour=red")[0] == 422


def test_the_server_is_gone(site: Site, system: RunningSystem) -> None:
    """A scrape while the server is down is answered, and says so; afterwards all goes on.

    The start of the server is counted, although nobody could follow when it was.
    """
    before = site.figures()
    assert site.server_starts() == 0
    wait_for("the reader", lambda: site.figures()["mm_order_report_seconds_count"])
    system.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]  # it runs
    os.kill(system.server_pid(), signal.SIGKILL)
    wait_for("the loss", lambda: site.figures()["mm_system_up"] == 0)
    wait_for("a reader that cannot read", lambda: site.figures()["mm_reader_up"] == 0)
    # The counter has no gap, so Prometheus sees it grow.
    assert site.server_starts() == 0
    assert "mm_orders_total" not in site.figures()
    system.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]  # it runs
    wait_for("the figures", lambda: site.figures()["mm_system_up"] == 1, 30)
    wait_for(
        "more orders", lambda: site.figures().get("mm_orders_total", 0) > before["mm_orders_total"]
    )
    wait_for("the start", lambda: site.server_starts() == 1)
    wait_for("the reader", lambda: site.figures()["mm_reader_up"] == 1)
    assert site.server_starts() == 1
