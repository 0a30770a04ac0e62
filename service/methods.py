"""HTTP methods: HEAD wherever there is GET, and what a 405 says is allowed (RFC 9110, sections 9.3.2 and 15.5.6)."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """An ASGI app that is asked GET where HEAD is asked: the headers are the same, and uvicorn leaves the body away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}  # a copy: by its own, uvicorn knows that there is to be no body
        try:
            await self._app(asked, receive, send)
        finally:
            scope["route"] = asked.get("route")  # by which it is counted


def allowed(app: FastAPI, path: str) -> str:
    """The methods of all routes that match a path, for the header Allow. (FastAPI names those of the first alone.)"""
    routes = [route for route in iter_route_contexts(app.routes) if route.path_regex.match(path)]
    methods = {method for route in routes for method in route.methods or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
