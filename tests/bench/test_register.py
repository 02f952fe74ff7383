"""The register benchmark runs and tells the truth; how fast it is, no test asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mithaq import bench
from mithaq.bench.commission import Commission, Size
from tests.nodes import records_of

KEYS = {
    "owed_today_p99_ms",
    "clause_history_p99_ms",
    "yearly_report_ms",
    "rebuild_statements_per_second",
    "rss_mib",
}


def test_a_short_run_ends_with_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["register", "--agreements", "4", "--statements", "1500", "--years", "1", "--questions", "3", "--json"]
    assert bench.main(arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) >= KEYS
    assert all(figures[each] > 0 for each in KEYS)
    assert figures["obligations"] == 100
    assert 1000 < figures["statements"] <= 1500


def test_both_sides_of_the_commission_hold_the_same_and_have_refused_nothing(tmp_path: Path) -> None:
    commission = Commission(tmp_path, Size(4, 1000, years=2))
    commission.fill()
    one, other = (records_of(node) for node in commission.nodes.values())
    commission.close()
    assert one == other
    assert one["verdicts"] == []
    assert {row[3] for row in one["obligations_said"]} >= {"claimed", "answered", "found"}
