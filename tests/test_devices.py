"""Devices by name, and one line when one is missing."""

import threading

import pytest
import torch

from medaudit.devices import multiplies_int8, pick_device, repeatable, side_by_side, uses_bf16
from medaudit.errors import DeviceUnavailable


def test_cpu_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_takes_the_best_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device().type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:0", "mps", "gpu", "cuda:x", "", "CPU"):
        with pytest.raises(DeviceUnavailable) as caught:
            pick_device(name)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceUnavailable, match="cuda:1"):
        pick_device("cuda:2")


def test_bf16_as_told_or_where_there_are_units(monkeypatch):
    cpu = torch.device("cpu")
    assert uses_bf16("bf16", cpu) and not uses_bf16("fp32", torch.device("cuda"))
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has=has: has, raising=False)
        assert uses_bf16("auto", cpu) is has
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has, **_: has)
        assert uses_bf16("auto", torch.device("cuda")) is has
    assert not uses_bf16("auto", torch.device("mps"))


def test_repeatable_kernels_only_within_the_block():
    before = torch.backends.cudnn.deterministic
    with repeatable(torch.device("cuda")):
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    with repeatable(torch.device("cpu")):
        assert torch.backends.cudnn.deterministic is before
    assert torch.backends.cudnn.deterministic is before


def test_int8_products_are_exact_where_they_are_used(monkeypatch):
    if multiplies_int8():
        left, right = (
            torch.full((3, 400), -127, dtype=torch.int8),
            torch.full((400, 5), -127, dtype=torch.int8),
        )
        right[::3, 2] = 127
        assert torch.equal(torch._int_mm(left, right).long(), left.long() @ right.long())
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert not multiplies_int8()


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_side_by_side_keeps_the_order_and_gives_one_thread_to_each(two_threads):
    both = threading.Barrier(2, timeout=20)  # passes only when two are at work at once

    def work(item):
        both.wait()
        return item, torch.get_num_threads()

    cpu = torch.device("cpu")
    assert list(side_by_side(work, range(6), cpu)) == [(item, 1) for item in range(6)]
    assert torch.get_num_threads() == 2
    assert list(side_by_side(lambda item: item, [], cpu)) == []
    elsewhere = list(side_by_side(lambda item: torch.get_num_threads(), range(3), torch.device("meta")))
    assert elsewhere == [2, 2, 2]


def test_side_by_side_looks_no_further_ahead_than_threads_and_passes_errors_on(two_threads):
    asked = []

    def work(item):
        asked.append(item)
        if item == 4:
            raise ValueError("the fifth")
        return item

    results = side_by_side(work, range(100), torch.device("cpu"))
    assert next(results) == 0 and max(asked) <= 1
    with pytest.raises(ValueError, match="the fifth"):
        list(results)
    assert torch.get_num_threads() == 2 and max(asked) <= 5
