"""People who act for an office: their tokens, their roles, their end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from mithaq.kernel import officials, tables
from mithaq.kernel.database import Database
from mithaq.kernel.errors import Malformed, MithaqError, Refused


@pytest.fixture
def connection() -> Iterator[Connection]:
    database = Database("sqlite://")
    with database.write() as found:
        yield found
    database.close()


def code(raised: pytest.ExceptionInfo[MithaqError]) -> str:
    return raised.value.code


def test_a_token_opens_for_the_one_who_was_given_it_and_only_its_digest_is_kept(connection: Connection) -> None:
    token = officials.enrol(connection, "guard.1", "XA/border-guard", ["official", "lead"])
    found = officials.authenticate(connection, token)
    assert (found.id, found.office, found.roles) == ("guard.1", "XA/border-guard", {"official", "lead"})
    row = connection.execute(select(tables.officials)).one()
    assert token not in str(row)
    assert len(row.token) == 64


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "a" * 10_000, "ا" * 43, "' or 1=1 --"])
def test_any_other_token_is_unknown(connection: Connection, token: str) -> None:
    officials.enrol(connection, "guard.1", "XA", ["official"])
    with pytest.raises(Refused) as raised:
        officials.authenticate(connection, token)
    assert code(raised) == "official.unknown_token"


def test_a_renewed_token_ends_the_old_one(connection: Connection) -> None:
    old = officials.enrol(connection, "guard.1", "XA", ["official"])
    new = officials.renew(connection, "guard.1")
    assert officials.authenticate(connection, new).id == "guard.1"
    with pytest.raises(Refused):
        officials.authenticate(connection, old)


def test_one_whose_time_has_ended_is_refused_and_the_name_is_not_given_again(connection: Connection) -> None:
    token = officials.enrol(connection, "guard.1", "XA", ["official"])
    officials.end(connection, "guard.1", 1_790_000_000)
    with pytest.raises(Refused) as raised:
        officials.authenticate(connection, token)
    assert code(raised) == "official.ended"
    for again in (
        lambda: officials.enrol(connection, "guard.1", "XA", ["lead"]),
        lambda: officials.renew(connection, "guard.1"),
        lambda: officials.end(connection, "guard.1", 1),
    ):
        with pytest.raises(Refused):
            again()
    assert [each.ended for each in officials.everyone(connection)] == [1_790_000_000]


@pytest.mark.parametrize(
    "id_, office, roles, expected",
    [
        ("Guard One", "XA", ["official"], "official.id"),
        ("guard\n", "XA", ["official"], "official.id"),
        ("", "XA", ["official"], "official.id"),
        ("g" * 41, "XA", ["official"], "official.id"),
        ("guard", "xa", ["official"], "official.office"),
        ("guard", "XA/border-guard\n", ["official"], "official.office"),
        ("guard", "XA", [], "official.role"),
        ("guard", "XA", ["king"], "official.role"),
    ],
)
def test_what_has_not_the_right_shape_is_not_enrolled(
    connection: Connection, id_: str, office: str, roles: list[str], expected: str
) -> None:
    with pytest.raises(Malformed) as raised:
        officials.enrol(connection, id_, office, roles)
    assert code(raised) == expected
    assert not officials.everyone(connection)


def test_one_says_for_the_own_office_and_those_below_it_and_for_no_other() -> None:
    one = officials.Official("guard", "XA/border-guard", frozenset({"official"}))
    officials.may_say(one, "XA/border-guard")
    officials.may_say(one, "XA/border-guard/north")
    for office in ("XA", "XA/border", "XA/border-guards", "XB/border-guard", "XA/border-guard/north\n"):
        with pytest.raises(Refused) as raised:
            officials.may_say(one, office)
        assert code(raised) == "official.another_office"


@pytest.mark.parametrize("role", officials.ROLES)
def test_only_officials_and_leads_say_anything(role: str) -> None:
    one = officials.Official("guard", "XA", frozenset({role}))
    if role in {"official", "lead"}:
        officials.may_say(one, "XA/border-guard")
        return
    with pytest.raises(Refused) as raised:
        officials.may_say(one, "XA/border-guard")
    assert code(raised) == "official.role_does_not_say"


def test_nobody_ends_one_who_is_not_there(connection: Connection) -> None:
    with pytest.raises(Refused) as raised:
        officials.end(connection, "nobody", 1)
    assert code(raised) == "official.unknown"
