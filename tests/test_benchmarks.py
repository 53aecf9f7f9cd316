"""The benchmarks run, at a small size, and print what they promise; how fast they find things is not judged here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(name: str, *arguments: str) -> Any:
    """A benchmark's ``--json``."""
    command = [sys.executable, str(ROOT / "bench" / name), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(300)
def test_retrieval_measures_three_systems(tmp_path: Path) -> None:
    said = {
        "a": "Ana: The gate code is 4711",
        "b": "Bo: I bought milk and eggs",
        "c": "Ana: The rent goes up in June",
    }
    asked = {"What is the code of the gate?": ["a"], "What did Bo buy, and what about the rent?": ["b", "c"]}
    conversation = {
        "id": "one",
        "messages": [
            {"id": id, "sent_at": f"2025-06-0{number}T12:00:00+00:00", "text": text}
            for number, (id, text) in enumerate(said.items(), start=1)
        ],
        "questions": [
            {
                "question": question,
                "evidence": evidence,
                "category": "multi-hop" if len(evidence) > 1 else "single-hop",
            }
            for question, evidence in asked.items()
        ],
    }
    dataset = tmp_path / "dataset.json"
    dataset.write_text(json.dumps({"conversations": [conversation]}))
    result = run("retrieval", "--dataset", str(dataset))
    assert list(result["systems"]) == ["mem0", "words", "whatsbot"]
    for system in result["systems"].values():
        assert system["overall"] == {"5": 1.0, "10": 1.0, "20": 1.0}
        assert list(system["by_category"]) == ["multi-hop", "single-hop"]
        assert 0 < system["search_ms"]["p50"] <= system["search_ms"]["p99"]


@pytest.mark.timeout(300)
def test_search_at_scale_finds_what_an_exact_scan_finds() -> None:
    result = run("search_scale", "--memories", "1500", "--users", "30", "--skip-mem0-default")
    assert result["memories"] == 1500
    for size in result["search"].values():
        assert size["identical"] + size["identical_but_for_ties"] == size["compared"] > 0, size


@pytest.mark.timeout(300)
def test_turns_are_answered_by_the_model_at_both_sizes() -> None:
    result = run("turns", "--messages", "4", "--concurrency", "4", "--seconds", "0.05")
    assert result["concurrency"] == 4
    for row in (result["many"], result["one"]):
        assert row["messages"] == 4
        assert row["per_second"] > 0
        assert row["cpu_ms_per_message"] > 0
        assert 0.1 <= row["p50_seconds"] <= row["p99_seconds"]


@pytest.mark.timeout(300)
def test_files_are_taken_in_beside_curl() -> None:
    result = run("media", "--files", "6", "--megabytes", "1", "--concurrency", "3")
    assert (result["files"], result["concurrency"]) == (6, 3)
    assert result["mb_per_second"]["worker"] > 0
    assert result["ratio"] == result["mb_per_second"]["worker"] / result["mb_per_second"]["curl"]
    assert result["growth_mb"] < 64


@pytest.mark.timeout(300)
def test_lists_of_the_api_are_measured_beside_their_references() -> None:
    result = run("api", "--memories", "3000", "--people", "60", "--requests", "16", "--rounds", "1")
    assert (result["memories"], result["people"], result["clients"]) == (3000, 60, 8)
    lists = ("GET /memories", "POST /memories/list", "GET /interactions/recent")
    assert list(result["endpoints"]) == [
        "GET /health/live",
        *(f"{name}, {size}" for name in lists for size in ("1", "1,000")),
        "POST /memories/list deep, 1,000",
        "GET /analytics/summary",
        "pgbench",
    ]
    for row in result["endpoints"].values():
        assert row["per_second"] > 0
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["of GET /health/live"] > 0
        assert row["of pgbench"] > 0
    assert result["endpoints"]["pgbench"]["of pgbench"] == 1
    assert result["deep_over_first"] > 0


@pytest.mark.timeout(300)
def test_pages_of_the_back_office_are_measured_beside_one_that_reads_nothing() -> None:
    result = run("admin", "--messages", "300", "--requests", "1", "--rounds", "1", "--clients", "1")
    assert (result["messages"], result["people"]) == (300, 60)
    assert result["unequal_statements"] == []
    assert len(result["pages"]) > 40
    for name, row in result["pages"].items():
        assert 0 < row["p50_ms"] <= row["p95_ms"], name
        assert row["of sign-in"] > 0
