"""In: records on their way into the store, and claims that are run. Out: OpenTelemetry spans, joined by W3C contexts.

Loaded only where the setting ``tracing`` is on. A single record's first run is a child of the span that enqueued it;
retries, records of a batch and those of a schedule begin traces of their own, which link to it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from litestar_queues.codec import decode_object, extend_object
from litestar_queues.correlation import CORRELATION_KEY
from litestar_queues.errors import MissingDependencyError
from litestar_queues.outcomes import Cancelled, Failed, Outcome, Retried, Snoozed
from litestar_queues.release import release

try:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, get_current_span, get_tracer, use_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise MissingDependencyError(
        "QueueConfig.tracing needs opentelemetry-api: pip install 'litestar-queues[opentelemetry]'"
    ) from error

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from litestar_queues.execution.base import ExecutionBackend
    from litestar_queues.execution.context import TaskExecutionContext
    from litestar_queues.records import Claim, Enqueued, NewRecord
    from litestar_queues.ticks import TickBatch

__all__ = ("TracedExecution", "Tracing")

_W3C = TraceContextTextMapPropagator()
_SYSTEM = {"messaging.system": "litestar_queues"}
_BATCH_KEY = "trace_batch"


class Tracing:
    """Makes the spans.

    Args:
        provider: Where they go; ``None``: the global provider.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("litestar_queues", release(), provider)

    async def enqueue_many(
        self,
        store: Callable[..., Awaitable[Sequence[Enqueued]]],
        records: Sequence[NewRecord],
        connection: Any,
    ) -> Sequence[Enqueued]:
        """Store the records within one span, whose context they carry."""
        queues = {record.queue for record in records}
        queue = records[0].queue if len(queues) == 1 else None
        attributes = _attributes("enqueue", "send", queue)
        single = len(records) == 1
        if single:
            attributes |= _about(records[0].task, records[0].metadata)
        else:
            attributes["messaging.batch.message_count"] = len(records)
        name = f"enqueue {queue}" if queue else "enqueue"
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes) as span:
            enqueued = await store(_carry(records), connection=connection)
            if single:
                span.set_attribute("messaging.message.id", str(enqueued[0].id))
                span.set_attribute("litestar_queues.created", enqueued[0].created)
            return enqueued

    async def fire_ticks(self, fire: Callable[[TickBatch], Awaitable[int]], batch: TickBatch) -> int:
        """Write ticks of a schedule within one span, to which the runs link; it is told of where records were made.

        Where another worker was first, this one's span is never ended, so that a tick has one span, however large the
        fleet.
        """
        records = [tick.record for tick in batch.ticks]
        queue = records[0].queue
        attributes = _attributes("enqueue", "send", queue) | _about(records[0].task, records[0].metadata)
        attributes["litestar_queues.schedule"] = batch.schedule
        if len(records) == 1:
            attributes["messaging.message.id"] = str(records[0].id)
        else:
            attributes["messaging.batch.message_count"] = len(records)
        span = self._tracer.start_span(f"enqueue {queue}", Context(), SpanKind.PRODUCER, attributes)
        with use_span(span):
            carried = zip(batch.ticks, _carry(records), strict=True)
            made = await fire(batch._replace(ticks=[tick._replace(record=record) for tick, record in carried]))
        if made:
            span.end()
        return made

    async def run(self, run: Callable[[], Awaitable[Outcome]], claim: Claim, worker_id: str) -> Outcome:
        """Run the claim within a span; before it stands the span of its wait, where both are of one trace."""
        parent, links = _origin(claim)
        attributes = _attributes("run", "process", claim.queue) | _about(claim.task, claim.metadata)
        attributes |= {
            "messaging.message.id": str(claim.id),
            "messaging.client.id": worker_id,
            "litestar_queues.attempt": claim.attempt,
            "litestar_queues.wait": claim.waited,
        }
        if claim.schedule is not None:
            attributes["litestar_queues.schedule"] = claim.schedule
        if parent is not None:
            self._tell_wait(parent, claim)
        with self._tracer.start_as_current_span(
            f"run {claim.queue}", parent or Context(), SpanKind.CONSUMER, attributes, links
        ) as span:
            outcome = await run()
            _tell_outcome(span, outcome)
            return outcome

    def _tell_wait(self, parent: Context, claim: Claim) -> None:
        now = time.time_ns()
        began = now - int(claim.waited * 1e9)
        attributes = {**_SYSTEM, "messaging.destination.name": claim.queue, "messaging.message.id": str(claim.id)}
        span = self._tracer.start_span(f"wait {claim.queue}", parent, attributes=attributes, start_time=began)
        span.end(now)


class TracedExecution:
    """An execution backend whose runs are spans.

    Args:
        inner: Where tasks run.
        tracing: Makes the spans.
    """

    def __init__(self, inner: ExecutionBackend, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    @property
    def abandoned(self) -> int:
        """Threads that still run a plain function whose attempt is over."""
        return self._inner.abandoned

    def close(self) -> None:
        """Let go of threads; running ones go on."""
        self._inner.close()

    async def run(self, claim: Claim, context: TaskExecutionContext) -> Outcome:
        """Run one attempt within its span, which the task's own spans have as parent, in threads too."""
        return await self._tracing.run(lambda: self._inner.run(claim, context), claim, context.worker_id)


def _carry(records: Sequence[NewRecord]) -> Sequence[NewRecord]:
    """Write the current span's context into the records' metadata."""
    carrier: dict[str, Any] = {}
    _W3C.inject(carrier)
    if not carrier:  # nobody has set a provider up
        return records
    if len(records) > 1:
        carrier[_BATCH_KEY] = True
    return [record._replace(metadata=extend_object(record.metadata, carrier)) for record in records]


def _origin(claim: Claim) -> tuple[Context | None, Sequence[Link]]:
    """The context in which the record was enqueued: as the parent of this run, or else as a link."""
    metadata = decode_object(claim.metadata)
    carrier = {name: value for name, value in metadata.items() if name in _W3C.fields and isinstance(value, str)}
    context = _W3C.extract(carrier, Context())
    span_context = get_current_span(context).get_span_context()
    if not span_context.is_valid:
        return None, ()
    if claim.attempt > 1 or claim.schedule is not None or metadata.get(_BATCH_KEY):
        return None, (Link(span_context),)
    return context, ()


def _attributes(operation: str, kind: str, queue: str | None) -> dict[str, Any]:
    """The names of the semantic conventions for messaging."""
    attributes = {**_SYSTEM, "messaging.operation.name": operation, "messaging.operation.type": kind}
    if queue is not None:
        attributes["messaging.destination.name"] = queue
    return attributes


def _about(task: str, metadata: bytes | None) -> dict[str, Any]:
    attributes = {"litestar_queues.task": task}
    correlation_id = decode_object(metadata).get(CORRELATION_KEY)
    if isinstance(correlation_id, str):
        attributes["messaging.message.conversation_id"] = correlation_id
    return attributes


def _tell_outcome(span: Span, outcome: Outcome) -> None:
    span.set_attribute("litestar_queues.outcome", type(outcome).__name__.lower())
    match outcome:
        case Failed() | Retried():
            error = outcome.error
            span.set_attribute("error.type", error.type)
            span.set_status(Status(StatusCode.ERROR, f"{error.type}: {error.message}"))
            span.add_event(
                "exception",
                {
                    "exception.type": error.type,
                    "exception.message": error.message,
                    "exception.stacktrace": error.traceback,
                },
            )
        case Snoozed() | Cancelled():
            span.set_attribute("litestar_queues.reason", outcome.reason)
        case _:
            pass
