"""The pages: the playground, and the description of the interface. All of their parts are served from here."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

PAGES = Path(str(files("synaptoroute_integrations.server") / "playground"))
SWAGGER = Path(str(files("fastapi_offline") / "static"))
PLAYGROUND_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = PLAYGROUND_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SynaptoRoute: HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
DOCS_SCRIPT = """SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", validatorUrl: null, deepLinking: true});
"""

documents = APIRouter(include_in_schema=False)
playground = APIRouter(include_in_schema=False)
document_assets = Mount("/docs/assets", app=StaticFiles(directory=SWAGGER), name="docs-assets")
playground_assets = Mount("/playground", app=StaticFiles(directory=PAGES), name="playground-assets")


@playground.get("/")
async def page() -> Response:
    """The playground."""
    headers = {"Content-Security-Policy": PLAYGROUND_POLICY, "Cache-Control": "no-cache"}
    return FileResponse(PAGES / "index.html", media_type="text/html", headers=headers)


@documents.get("/docs")
async def docs() -> Response:
    """The interface, to read and to try."""
    return Response(DOCS_PAGE, media_type="text/html", headers={"Content-Security-Policy": DOCS_POLICY})


@documents.get("/docs/start.js")
async def start() -> Response:
    """What starts the page: a script within it would need a weaker policy."""
    return Response(DOCS_SCRIPT, media_type="text/javascript")
