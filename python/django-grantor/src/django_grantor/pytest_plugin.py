"""Fixtures for pytest, which finds them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import FakeGrantor, GrantorAPIClient


@pytest.fixture
def fake_grantor() -> Iterator[FakeGrantor]:
    """A server that replaces Grantor during the test."""
    from .testing import FakeGrantor

    with FakeGrantor() as grantor:
        yield grantor


@pytest.fixture
def grantor_client(fake_grantor: FakeGrantor) -> GrantorAPIClient:
    """DRF's APIClient, with as_user and as_machine."""
    from .testing import GrantorAPIClient

    return GrantorAPIClient(fake_grantor)
