"""``--workers``: several processes that share a service's work (issue 5 §4)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deploy.local.control import supervisor_command
from deploy.local.layout import DEFAULT_DATA, SERVICES, Layout, Options, State, parse_workers
from deploy.local.programs import programs, scraped, service_of, worker_name
from deploy.local.supervisor import parse

ROOT = Path(__file__).parents[3]
ADDRESSES = {name: {"service": f"{name}-s", "migrate": f"{name}-m"} for name in (*SERVICES, "broker")}


def test_only_services_and_small_numbers_are_taken() -> None:
    """One process is what there is anyway; what is not understood is refused, never ignored."""
    assert parse_workers(["collection=2", "registration=1", "subsidy=9"]) == {"collection": 2, "subsidy": 9}
    assert parse_workers([]) == {}


@pytest.mark.parametrize(
    "word", ["collection", "collection=", "collection=0", "collection=10", "books=2", "=2"]
)
def test_what_is_not_understood_is_refused(word: str) -> None:
    """Raises with the word in the message."""
    with pytest.raises(ValueError, match=word):
        parse_workers([word])


def test_a_worker_is_the_service_on_a_port_and_in_a_role_of_its_own(tmp_path: Path) -> None:
    """The second and third process work only; the first answers requests on the service's port."""
    options = Options(data=tmp_path, workers={"collection": 3})
    found = {each.name: each for each in programs(options, Layout(tmp_path), ADDRESSES, None)}
    own = [name for name in found if service_of(name) == "collection"]
    assert own == ["collection", worker_name("collection", 2), worker_name("collection", 3)]
    assert [found[name].port for name in own] == [8102, 8112, 8122]
    assert [found[name].environment.get("LIANGXIAN_ROLES") for name in own] == [None, "worker", "worker"]
    assert [found[name].environment["LIANGXIAN_PORT"] for name in own] == ["8102", "8112", "8122"]
    assert {found[name].environment["LIANGXIAN_DATABASE_URL"] for name in own} == {"collection-s"}
    assert len({each.port for each in found.values()}) == len(found)
    assert service_of("rehearsal") == ""


def test_every_process_of_every_service_is_scraped(tmp_path: Path) -> None:
    """``deploy/prometheus/local.yml`` reads the file; the outside world has no metrics of ours."""
    options = Options(data=tmp_path, workers={"collection": 3})
    groups = json.loads(scraped(programs(options, Layout(tmp_path), ADDRESSES, None)))
    targets = {group["labels"]["process"]: (*group["targets"], group["labels"]["role"]) for group in groups}
    assert targets == {
        "registration": ("127.0.0.1:8101", "all"),
        "collection": ("127.0.0.1:8102", "all"),
        "collection-worker-2": ("127.0.0.1:8112", "worker"),
        "collection-worker-3": ("127.0.0.1:8122", "worker"),
        "subsidy": ("127.0.0.1:8103", "all"),
        "notification": ("127.0.0.1:8104", "all"),
    }
    assert Layout(DEFAULT_DATA).targets == (ROOT / "deploy/prometheus" / _watched()).resolve()


def _watched() -> str:
    """The file that local.yml names."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/local.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    [discovery] = job["file_sd_configs"]
    [file] = discovery["files"]
    return str(file)


def test_the_supervisor_is_told_and_a_system_asked_for_otherwise_is_another(tmp_path: Path) -> None:
    """Nobody shall measure one worker where two were asked for."""
    options = Options(data=tmp_path, workers={"collection": 2, "registration": 3})
    again = parse([str(word) for word in supervisor_command(options)[3:]])
    assert again.workers == options.workers
    running = State(0, True, "embedded", 8101, True, {}, workers={"collection": 2, "registration": 3})
    assert running.asked() == again.asked()
    assert running.asked() != Options(data=tmp_path, workers={"collection": 2}).asked()
