"""What an audience names, by the table that the Go packages play too."""

import json
from pathlib import Path

import pytest

from django_grantor.resource import names

TABLE = json.loads(
    (Path(__file__).parents[3] / "scopes" / "testdata" / "resources.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("group", TABLE["same"])
def test_spellings_of_one_resource(group):
    for other in group:
        assert names([other], group[:1])
        assert names(group[:1], ["https://else.example", other])


@pytest.mark.parametrize("pair", TABLE["different"])
def test_what_only_looks_alike(pair):
    assert not names(pair[:1], pair[1:])
    assert not names(pair[1:], pair[:1])


def test_nothing_is_named_by_nothing():
    assert not names([], ["https://a.example"])
    assert not names(["https://a.example"], [])
