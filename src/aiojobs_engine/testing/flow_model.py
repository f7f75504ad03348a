"""A store and the memory store side by side, where jobs wait for each other and belong to batches."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.needs import BATCH, Need, When
from aiojobs_engine.testing.conformance.stage import Stage
from aiojobs_engine.testing.model import BackendModel, seconds

_IDS = ["a", "b", "c", "d", "e", "f", "bulk-1"]
_BATCHES = ["batch-1", "batch-2", "batch-3"]
_links = st.tuples(
    st.sampled_from([*_IDS, *_IDS, *_BATCHES]),
    st.none() | st.none() | st.sampled_from(_BATCHES),
    st.lists(st.tuples(st.sampled_from([*_IDS, *_BATCHES]), st.sampled_from(When)), max_size=2),
    st.none() | st.none() | seconds,
)


class FlowModel(BackendModel):
    """What `BackendModel` does, and dispatches with links among few ids, so that they meet often."""

    @rule(links=st.lists(_links, min_size=1, max_size=6), is_anchored=st.booleans())
    def link(self, links: list[tuple[Any, ...]], *, is_anchored: bool) -> None:
        """Dispatch jobs and batches that name each other, often wrongly."""
        stage = Stage(self.model, self.clock)
        envelopes = [_batch(stage, "batch-1", None)] if is_anchored else []
        for job_id, batch_id, needs, delay in links:
            if job_id in _BATCHES:
                envelopes.append(_batch(stage, job_id, None if batch_id == job_id else batch_id))
                continue
            fields: dict[str, Any] = {"needs": tuple(Need(*need) for need in needs), "parent_id": batch_id}
            if delay is not None:
                fields["scheduled_at"] = stage.after(delay)
            envelopes.append(
                stage.envelope(job_id, type="bulk" if job_id.startswith("bulk") else "work", **fields)
            )
        self._both(lambda each, _: each.backend.enqueue(envelopes))

    @rule(limit=st.integers(1, 6))
    def run_some(self, limit: int) -> None:
        """Start what can start."""
        self.claim(limit, "w1", 30.0)


def _batch(stage: Stage, job_id: str, parent_id: str | None) -> Envelope:
    return stage.envelope(job_id, type="batch", kind=BATCH, strategy="batch", parent_id=parent_id)
