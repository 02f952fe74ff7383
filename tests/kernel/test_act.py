"""Acts and their catalogue: one class, one check, one effect, all of one name."""

from __future__ import annotations

import types

import pytest

from mithaq import services
from mithaq.kernel.act import Catalogue, snake_case
from mithaq.node import CATALOGUE, CHARTER_ACTS, SERVICES
from mithaq.services import channel


@pytest.mark.parametrize(
    "name, function", [("Say", "say"), ("BringIntoForce", "bring_into_force"), ("OpenOffice", "open_office")]
)
def test_a_class_and_its_functions_have_one_name(name: str, function: str) -> None:
    assert snake_case(name) == function


def test_every_act_is_found_by_its_tag_with_its_check_and_its_effect() -> None:
    for tag, kind in CATALOGUE.kinds.items():
        assert tag == f"{kind.service}.{snake_case(kind.act.__name__)}" == kind.tag
        assert kind.check.__name__ == kind.effect.__name__ == snake_case(kind.act.__name__)
        assert tag in CATALOGUE
        assert CATALOGUE[tag] is kind
    assert "weather.report" not in CATALOGUE
    assert set(CHARTER_ACTS) <= set(CATALOGUE.kinds)


def test_a_charter_that_names_an_act_that_nobody_defines_does_not_start() -> None:
    with pytest.raises(LookupError, match=r"weather\.report"):
        Catalogue(SERVICES, ["weather.report"])


def test_a_service_whose_tag_is_not_its_folders_name_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = types.ModuleType("mithaq.services.talk")
    for each in ("acts", "rules", "records"):
        monkeypatch.setitem(__import__("sys").modules, f"mithaq.services.talk.{each}", getattr(channel, each))
    with pytest.raises(LookupError, match=r"talk\.say"):
        Catalogue([copy], [])
    assert services.__doc__


def test_every_act_has_a_schema_with_its_help_for_api_and_forms() -> None:
    references, components = CATALOGUE.schemas()
    for tag, kind in CATALOGUE.kinds.items():
        name = references[tag]["$ref"].rpartition("/")[2]
        assert components[name]["properties"]["do"] == {"enum": [tag]}
        assert " ".join(components[name]["description"].split()) == kind.help
