"""GET /metrics, for Prometheus."""

import asyncio
import platform

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service import VERSION
from service.telemetry import prometheus
from service.telemetry.shared import Shared

router = APIRouter(tags=["health"])
BUILD = {"version": VERSION, "python": platform.python_version()}


class MetricsResponse(Response):
    """Prometheus' text format."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


@router.get("/metrics", summary="Numbers for Prometheus", response_class=MetricsResponse)
async def metrics(request: Request) -> MetricsResponse:
    """Requests, errors, durations, batches, padding and attention of every model, of all worker processes together."""
    shared: Shared = request.app.state.shared
    snapshots = await shared.all()
    return MetricsResponse(await asyncio.to_thread(prometheus.text, snapshots, BUILD))
