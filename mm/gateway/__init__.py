"""The gateway: the live view as a web page, and the API over HTTP. It needs the extra `serve`."""

from mm.gateway.openapi import openapi_document
from mm.gateway.server import ServeOptions, serve

__all__ = ["ServeOptions", "openapi_document", "serve"]
