import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.serving import ROOT


def test_every_setting_has_help_and_is_documented():
    documented = (ROOT / "docs" / "serving.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"`--{name.replace('_', '-')}`" in documented


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("ATTENTION_PORT", "8123")
    assert Settings().port == 8123


def test_an_empty_environment_variable_is_none_at_all(monkeypatch):
    monkeypatch.setenv("ATTENTION_THREADS", "")
    assert Settings().threads == 1


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize("store", ["mysql:x", "sqlite:", "valkey:", "valkey://", ""])
def test_a_store_that_is_not_known_is_refused(store):
    with pytest.raises(ValidationError, match="pattern"):
        Settings(store=store)
