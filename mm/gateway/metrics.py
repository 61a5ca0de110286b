"""``/metrics``: the figures for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mm.gateway.access import Caller
from mm.gateway.answers import JSON
from mm.gateway.links import LONG_S, Links
from mm.gateway.reading import audited
from mm.metrics import Exporter, content_type


class Metrics:
    """Answers scrapes. The first one begins to follow orders, so nobody pays for it before."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._exporter = Exporter(links.scripts)

    async def scrape(self, _request: Request, _caller: Caller) -> Response:
        """The figures in the text format of Prometheus, also while no server answers."""
        answer = await self._links.run(self._answer)
        return Response(answer, media_type=content_type(), headers={"Cache-Control": "no-store"})

    def _answer(self) -> bytes:
        self._exporter.begin()
        return self._exporter.text()

    async def audit(self, _request: Request, _caller: Caller) -> JSON:
        """As `mm audit --json`; its verdict is served from now on."""
        facts = await self._links.run(lambda: audited(self._links.scripts()), LONG_S)
        self._exporter.audited(facts)
        return JSON(facts)

    def close(self) -> None:
        """Follow orders no longer."""
        self._exporter.close()
