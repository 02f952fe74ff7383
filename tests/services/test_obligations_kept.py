"""What the rules of obligations find in memory is what the database would have answered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mithaq.bench.commission import Commission, Size
from mithaq.kernel.force import Mandates
from mithaq.kernel.records import Records
from mithaq.node import CHARTER_ACTS, Node
from mithaq.services.obligations.records import said_table, told


def in_memory(records: Records, connection: Any, **equal: Any) -> list[Any]:
    return [told(row) for row in records.find(connection, said_table, equal)]


def in_database(connection: Any, **equal: Any) -> list[Any]:
    same = [said_table.c[name] == value for name, value in equal.items()]
    query = select(said_table).where(*same).order_by(said_table.c.party, said_table.c.n)
    return [told(row) for row in connection.execute(query)]


def check(node: Node, records: Records) -> None:
    with node.database.read() as connection:
        rows = in_database(connection)
        for row in rows:
            questions: list[dict[str, Any]] = [{"party": row.party, "n": row.n}]
            if row.obligation:
                questions.append({"obligation": row.obligation})
            if row.claim:
                questions += [{"claim": row.claim}, {"claim": row.claim, "what": row.what, "party": row.party}]
            for equal in questions:
                assert in_memory(records, connection, **equal) == in_database(connection, **equal)
        assert in_memory(records, connection, party=node.party, n=2**40) == []
        assert in_memory(records, connection, obligation="XA-2026-000000/1:1") == []


def test_facts_are_found_alike_whether_they_were_there_or_came_since(tmp_path: Any) -> None:
    commission = Commission(tmp_path, Size(4, 900, years=2))
    commission.fill()
    for node in commission.nodes.values():
        check(node, node.judge.records)  # grew with every statement
        check(node, Records({}, Mandates(CHARTER_ACTS)))  # read at once, as after a start
        node.rebuild()
        check(node, node.judge.records)
    commission.close()
