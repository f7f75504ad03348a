"""A simulation has no threads: virtual time doesn't wait for them, and a seed would tell less."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio.to_thread
import pytest


@contextmanager
def without_threads() -> Iterator[None]:
    """Call at once what would be called in a thread."""

    async def called(call: Callable[..., Any], *args: Any, **_: object) -> Any:
        return call(*args)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(anyio.to_thread, "run_sync", called)
        yield
