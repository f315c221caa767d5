"""A web service that counts its requests: as ASGI by Starlette, and as WSGI."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

served = 0


def count():
    global served
    served += 1
    return f"served {served}"


async def answer(request):
    return PlainTextResponse(count())


app = Starlette(routes=[Route("/", answer)])


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [count().encode()]
