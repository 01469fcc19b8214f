"""The pages' HTML. None has a script written into it, and the policy in its header allows none."""

from html import escape

from starlette.responses import HTMLResponse

from deployments.gateway.documentation.assets import address

# Both programs write style elements while they run; Redoc searches in a worker made of a blob.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def swagger_page() -> HTMLResponse:
    return _page(
        f'<link rel="stylesheet" href="{address("swagger-ui.css")}">',
        '<div id="documentation"></div>'
        f'<script src="{address("swagger-ui-bundle.js")}"></script>'
        f'<script src="{address("swagger.js")}"></script>',
    )


def redoc_page() -> HTMLResponse:
    # The element comes before the script, which looks for it when it runs.
    return _page(
        "",
        '<redoc spec-url="/openapi.json"></redoc>'
        f'<script src="{address("redoc.standalone.js")}"></script>',
    )


def sign_in_page(path: str, refusal: str = "") -> HTMLResponse:
    """Ask for a key; `path` is where a good one leads."""
    return _page(
        f'<link rel="stylesheet" href="{address("sign-in.css")}">',
        '<form method="post" action="/docs/sign-in">'
        "<h1>Ballast</h1><p>The documentation needs an API key: any role will do.</p>"
        f'<p class="refused" role="alert">{escape(refusal)}</p>'
        f'<input type="hidden" name="page" value="{escape(path)}">'
        '<label>API key <input type="password" name="key" autocomplete="off" required autofocus>'
        "</label><button>Sign in</button></form>",
        status=401,
    )


def _page(head: str, body: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        "<!doctype html>"
        '<html lang="en"><head><meta charset="utf-8"><title>Ballast</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{address("favicon.png")}">{head}</head>'
        f"<body>{body}</body></html>",
        status,
        HEADERS,
    )
