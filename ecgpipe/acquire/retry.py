"""Retries of failed downloads: exponential backoff with jitter, a limit of attempts, and ``Retry-After``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """Time-outs and retries of a download; times in seconds."""

    connect_timeout: float = 30.0
    """Limit for setting up a connection."""
    read_timeout: float = 60.0
    """Limit without a byte."""
    total_timeout: float = 600.0
    """Limit of one request; what arrived by then is kept, and the next request asks for the rest."""
    max_attempts: int = 10
    """Requests for a file before it is given up."""
    max_corrupt: int = 3
    """Of these, complete but wrong answers before it is given up."""
    backoff: float = 1.0
    """Wait before the second attempt; doubles with each further one, plus a random part of up to ``backoff``."""
    max_backoff: float = 120.0
    """Longest such wait."""
    max_retry_after: float = 600.0
    """Longest wait granted to a server's ``Retry-After``."""


DEFAULT_POLICY = RetryPolicy()


class FileFailed(Exception):
    """A file that could not be fetched; the message says why, without its name."""


class TransientError(Exception):
    """A failed attempt that may succeed when repeated, at the earliest after ``retry_after`` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class CorruptResponse(TransientError):
    """An answer that arrived complete but is wrong."""


def parse_response(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """Parse an answer.

    Raises:
        CorruptResponse: if ``parse`` raises ValueError.
    """
    try:
        return parse(raw)
    except ValueError as error:
        raise CorruptResponse(str(error)) from None


async def with_retries(path: str, attempt: Callable[[], Awaitable[T]], policy: RetryPolicy) -> T:
    """Repeat an attempt that may raise :class:`TransientError`, with exponential backoff, as the policy allows.

    Raises:
        FileFailed: with the reason of the last attempt.
    """
    backoff = tenacity.wait_exponential(multiplier=policy.backoff, max=policy.max_backoff) + tenacity.wait_random(
        0, policy.backoff
    )
    corrupt = 0

    def error_of(state: tenacity.RetryCallState) -> TransientError:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, TransientError)
        return error

    def exhausted(state: tenacity.RetryCallState) -> bool:
        nonlocal corrupt
        corrupt += isinstance(error_of(state), CorruptResponse)
        return corrupt >= policy.max_corrupt or state.attempt_number >= policy.max_attempts

    def log(state: tenacity.RetryCallState) -> None:
        level = logging.INFO if state.attempt_number < 3 else logging.WARNING
        logger.log(
            level,
            "%s: %s; attempt %d of %d in %.1f s",
            path,
            error_of(state),
            state.attempt_number + 1,
            policy.max_attempts,
            state.upcoming_sleep,
        )

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=exhausted,
        wait=lambda state: max(backoff(state), error_of(state).retry_after),
        before_sleep=log,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except TransientError as error:
        raise FileFailed(f"{error} (attempt {retrying.statistics['attempt_number']})") from error
