"""A page that shows jobs as they run: python examples/live_board.py, then open http://127.0.0.1:8000."""

import asyncio
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Mount, Route

from aiojobs_engine import Engine, JobContext
from aiojobs_engine.events.listeners.broadcast import Channel
from aiojobs_engine.integrations.starlette import live

engine = Engine("sqlite:///board.db")

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Jobs</title>
<h1>Jobs</h1>
<form method="post" action="/start"><button>Start one</button></form>
<ul id="jobs"></ul>
<script>
  const list = document.getElementById("jobs");
  const source = new EventSource("/live/?channel=user:ann");
  source.addEventListener("JobStatusUpdated", (message) => {
    const job = JSON.parse(message.data);
    let row = document.getElementById(job.job_id);
    if (!row) {
      row = list.appendChild(document.createElement("li"));
      row.id = job.job_id;
    }
    row.textContent = `${job.type}: ${job.status} ${job.processed}/${job.total} ${job.message || ""}`;
  });
  source.addEventListener("reset", () => location.reload());
</script>
"""


@engine.job(name="paint")
async def paint(ctx: JobContext, walls: int) -> None:
    for wall in range(1, walls + 1):
        await asyncio.sleep(0.3)
        await ctx.progress(wall, walls, message=f"wall {wall} is green")


async def page(request: Request) -> HTMLResponse:
    del request
    return HTMLResponse(PAGE)


async def start(request: Request) -> RedirectResponse:
    del request
    await engine.dispatch(paint.options(user_id="ann"), walls=12)
    return RedirectResponse("/", status_code=303)


async def may_follow(connection: HTTPConnection, channel: Channel) -> bool:
    return channel == Channel("user", connection.headers.get("x-user", "ann"))  # ask your session


app = Starlette(
    routes=[
        Route("/", page),
        Route("/start", start, methods=["POST"]),
        Mount("/live", live(engine, may_follow)),
    ],
    lifespan=engine.lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=3)
