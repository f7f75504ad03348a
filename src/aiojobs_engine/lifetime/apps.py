"""An engine inside a web application, which starts and ends it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, overload

AppContext = Callable[[Any], AbstractAsyncContextManager[None]]
AppSteps = Callable[[Any], AsyncIterator[None]]


class AppMember(ABC):
    """What web frameworks start with an application, and end with it."""

    @abstractmethod
    def running(self, *, worker: bool = True) -> AbstractAsyncContextManager[Any]:
        """Be open and, with `worker`, work."""

    @overload
    def lifespan(self, app: object, /) -> AbstractAsyncContextManager[None]: ...
    @overload
    def lifespan(self, *, worker: bool = True) -> AppContext: ...
    def lifespan(
        self, app: object = None, *, worker: bool = True
    ) -> AbstractAsyncContextManager[None] | AppContext:
        """A lifespan of Starlette and FastAPI: `lifespan=engine.lifespan`, or with `(worker=False)`."""

        @asynccontextmanager
        async def context(app: object) -> AsyncGenerator[None]:
            del app
            async with self.running(worker=worker):
                yield

        return context if app is None else context(app)

    @overload
    def cleanup_ctx(self, app: object, /) -> AsyncIterator[None]: ...
    @overload
    def cleanup_ctx(self, *, worker: bool = True) -> AppSteps: ...
    def cleanup_ctx(self, app: object = None, *, worker: bool = True) -> AsyncIterator[None] | AppSteps:
        """The same for aiohttp: `app.cleanup_ctx.append(engine.cleanup_ctx)`, or with `(worker=False)`."""

        async def steps(app: object) -> AsyncIterator[None]:
            del app
            async with self.running(worker=worker):
                yield

        return steps if app is None else steps(app)
