"""The exchange benchmark runs and tells the truth; how fast it is, no test asks."""

from __future__ import annotations

import json

import pytest

from mithaq import bench

KEYS = {
    "statements_per_second",
    "per_cpu_second",
    "as4_per_cpu_second",
    "ratio_to_as4",
    "floor_share",
    "receipt_p50_ms",
    "receipt_p99_ms",
    "backlog_100k_seconds",
    "lost",
    "doubled",
    "bytes_per_statement",
    "rss_mib",
    "verify_entries_per_second",
    "rebuild_statements_per_second",
    "proof_ms_at_1m",
}


def test_a_short_run_loses_and_doubles_nothing_and_ends_with_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MITHAQ_BENCH_PYTHON", raising=False)
    monkeypatch.setattr("mithaq.bench.exchange.MILLION", 10_000)
    arguments = ["exchange", "--seconds", "0.5", "--backlog", "2000", "--singles", "20", "--json"]
    assert bench.main(arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) >= KEYS
    assert figures["lost"] == figures["doubled"] == 0
    assert figures["as4_per_cpu_second"] is None, "a peer that was not run has no figure"
    assert figures["statements_per_second"] > 0
