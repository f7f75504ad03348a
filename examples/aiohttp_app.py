"""An aiohttp app that dispatches jobs and runs them itself.

python examples/aiohttp_app.py
curl -d '{"pages": 3}' http://127.0.0.1:8080/reports
curl http://127.0.0.1:8080/reports/ID
"""

import asyncio
import os

import msgspec
from aiohttp import web

from aiojobs_engine import Engine, JobContext, JobNotFound, PayloadError

engine = Engine("sqlite:///jobs.db")


@engine.job(queue="reports", timeout=60)
async def build_report(ctx: JobContext, pages: int) -> str:
    for page in range(pages):
        await asyncio.sleep(0.05)
        await ctx.progress(page + 1, pages)
    return f"{pages} pages"


async def start_report(request: web.Request) -> web.Response:
    try:
        handle = await engine.dispatch(build_report.job_from_json(await request.read()))
    except PayloadError as error:
        return web.json_response({"error": str(error)}, status=422)
    return web.json_response({"id": handle.id}, status=202)


async def show_report(request: web.Request) -> web.Response:
    try:
        status = await engine.jobs.get(request.match_info["id"])
    except JobNotFound as error:
        return web.json_response({"error": str(error)}, status=404)
    return web.Response(body=msgspec.json.encode(status), content_type="application/json")


def make_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(engine.cleanup_ctx)
    app.router.add_post("/reports", start_report)
    app.router.add_get("/reports/{id}", show_report)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
