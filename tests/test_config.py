"""Settings: what is accepted, and that a wrong key is told with what was meant."""

from pathlib import Path

import pytest

from medaudit.config import AuditSettings, TrainSettings, check_settings, load_settings
from medaudit.errors import ConfigProblem, SourceMissing


def test_defaults_stand_and_values_are_kept() -> None:
    settings = check_settings({"alpha": 0.01, "plants": 40}, AuditSettings, "here")
    assert (settings.alpha, settings.plants, settings.neighbours) == (0.01, 40, 50)
    assert "mirror" in settings.required_kinds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"alfa": 0.05}, "unknown key 'alfa'; did you mean 'alpha'?"),
        ({"xyzzy": 1}, "known keys: alpha, bootstrap"),
        ({"alpha": 2}, "alpha: Input should be less than 0.5"),
        ({"required_kinds": ["smear"]}, "required_kinds.0"),
        ({"alpha": float("nan")}, "alpha: Input should be a finite number"),
        ({"copynet": {"temperature": float("inf")}}, "copynet.temperature: Input should be a finite number"),
        ({"plants": 10**20}, "plants: Value error, larger than 2147483647"),
        ({"copynet": {"channels": [10**20]}}, "copynet.channels: Value error, larger than 2147483647"),
        ({"required_kinds": [{"a": 1}]}, "required_kinds.0"),
        ({"x" * 100_000: 1}, "unknown key 'xxx"),
        ([1, 2], "a mapping of keys"),
    ],
)
def test_wrong_settings_are_told_in_one_line(body: object, words: str) -> None:
    with pytest.raises(ConfigProblem) as caught:
        check_settings(body, AuditSettings, "here")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_misspelled_key_is_told_before_the_one_it_leaves_missing() -> None:
    with pytest.raises(ConfigProblem, match="unknown key 'stepz'; did you mean 'steps'"):
        check_settings({"stepz": 3}, TrainSettings, "here")


def test_a_misspelled_key_of_a_group() -> None:
    with pytest.raises(ConfigProblem, match=r"unknown key 'network.chanels'; did you mean 'channels'"):
        check_settings({"steps": 3, "network": {"chanels": [8]}}, TrainSettings, "here")


def test_files(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing):
        load_settings(tmp_path / "none.yaml", AuditSettings)
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigProblem, match="not valid YAML"):
        load_settings(tmp_path / "bad.yaml", AuditSettings)
    (tmp_path / "empty.yaml").write_text("")
    assert load_settings(tmp_path / "empty.yaml", AuditSettings).alpha == 0.05
