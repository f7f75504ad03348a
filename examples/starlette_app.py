"""A Starlette app that dispatches jobs and runs them itself. FastAPI takes the same lifespan.

python examples/starlette_app.py
curl -d '{"pages": 3}' http://127.0.0.1:8000/reports
curl http://127.0.0.1:8000/reports/ID
"""

import asyncio
import os

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aiojobs_engine import Engine, JobContext, JobNotFound, PayloadError

engine = Engine("sqlite:///jobs.db")


@engine.job(queue="reports", timeout=60)
async def build_report(ctx: JobContext, pages: int) -> str:
    for page in range(pages):
        await asyncio.sleep(0.05)
        await ctx.progress(page + 1, pages)
    return f"{pages} pages"


async def start_report(request: Request) -> JSONResponse:
    try:
        handle = await engine.dispatch(build_report.job_from_json(await request.body()))
    except PayloadError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    return JSONResponse({"id": handle.id}, status_code=202)


async def show_report(request: Request) -> Response:
    try:
        status = await engine.jobs.get(request.path_params["id"])
    except JobNotFound as error:
        return JSONResponse({"error": str(error)}, status_code=404)
    return Response(msgspec.json.encode(status), media_type="application/json")


app = Starlette(
    lifespan=engine.lifespan,
    routes=[
        Route("/reports", start_report, methods=["POST"]),
        Route("/reports/{id}", show_report),
    ],
)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
