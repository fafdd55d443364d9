"""The files that Heroku, Fly, Render and Railway read: of their form, and true to the product."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from app.configuration.settings import LEDGER_NEEDS, VARIABLES, WEB_NEEDS, Settings
from app.web.__main__ import DRAIN_TIMEOUT as WEB_DRAIN
from app.web.openapi import DESCRIPTION
from tests.deploy.dockerfile import read_stages
from tests.deploy.host_files import (
    FILES,
    FLY,
    FLY_VALKEY,
    HEROKU,
    HostFile,
    commands_named,
    health_paths,
    procfile,
    render_services,
    seconds_to_stop,
    settings_named,
)
from tests.docs.pages import DOCS, blocks
from tests.support.cli import ROOT
from workers.supervisor import DRAIN_TIMEOUT as WORKER_DRAIN

SETTINGS = {variable.name for variable in VARIABLES.values()}
# In these a host lets people choose the names themselves.
FREE = {"env", "processes", "formation"}
by_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def validator_of(file: HostFile) -> Validator:
    """What holds something to the file's schema."""
    schema = file.read_schema()
    validator: type[Validator] = validator_for(schema)
    validator.check_schema(schema)
    return validator(schema)


def planted(said: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The same with a key that nobody knows, once in each of its objects, and where that is."""
    inner = said.items() if isinstance(said, dict) else enumerate(said)
    if isinstance(said, dict) and not FREE & set(place[-1:]):
        yield place, said | {"nosuch": "x"}
    for key, value in inner:
        if isinstance(value, dict | list):
            for where, changed in planted(value, (*place, key)):
                whole = copy.copy(said)
                whole[key] = changed
                yield where, whole


@by_file
def test_a_file_has_its_hosts_form(file: HostFile) -> None:
    assert [error.message for error in validator_of(file).iter_errors(file.read())] == []


@by_file
def test_a_key_that_its_host_does_not_know_is_found_wherever_it_stands(file: HostFile) -> None:
    validator = validator_of(file)
    passed = [where for where, changed in planted(file.read()) if validator.is_valid(changed)]
    assert passed == []


def test_every_setting_that_a_file_names_is_one_and_its_value_can_be_read() -> None:
    for file, name, value in settings_named():
        assert name in SETTINGS, file
        if value is not None:
            Settings.from_environment({name: value})


def test_no_file_has_a_secret_in_it() -> None:
    secrets = {v.name for v in VARIABLES.values() if re.search(r"SECRET|KEY|TOKEN|URL", v.name)}
    assert [found for found in settings_named() if found[1] in secrets and found[2]] == []


@pytest.mark.parametrize(("process", "needs"), [("web", WEB_NEEDS), ("worker", LEDGER_NEEDS)])
def test_render_gives_each_process_what_it_does_not_start_without(
    process: str, needs: tuple[str, ...]
) -> None:
    given = {variable["key"] for variable in render_services()[process]["envVars"]}
    assert {*needs, "REDIS_URL", "STRIPE_API_KEY"} - given == set()


def test_heroku_asks_for_what_its_add_ons_do_not_bring() -> None:
    brought = {"REDIS_URL", "DATABASE_URL"}
    asked = HEROKU.read()["env"]
    assert {*WEB_NEEDS, *LEDGER_NEEDS} - brought - asked.keys() == set()
    assert [name for name, one in asked.items() if not {"value", "generator"} & one.keys()] == [
        name for name, one in asked.items() if one.get("required")
    ]


def test_every_command_is_the_procfiles() -> None:
    named = list(commands_named())
    assert [found for found in named if procfile()[found[1]] != found[2]] == []
    for file in {file for file, *_ in named if "railway" not in file}:
        assert {process for name, process, _ in named if name == file} == {*procfile()}


def test_heroku_runs_the_procfiles_processes() -> None:
    assert HEROKU.read()["formation"].keys() | {"release"} == procfile().keys()


def test_every_host_waits_longer_than_a_process_takes_to_stop() -> None:
    assert [found for found in seconds_to_stop() if found[1] <= max(WORKER_DRAIN, WEB_DRAIN)] == []


def test_every_host_asks_for_health_at_a_path_that_is_served() -> None:
    served = json.loads(DESCRIPTION)["paths"]
    assert [found for found in health_paths() if "get" not in served.get(found[1], {})] == []


def test_fly_looks_for_web_where_it_listens() -> None:
    fly = FLY.read()
    assert fly["http_service"]["internal_port"] == int(fly["env"]["PORT"])
    assert fly["http_service"]["auto_stop_machines"] == "off"


def test_fly_builds_the_products_image_of_which_its_commands_are_the_whole_command() -> None:
    stages = read_stages(((ROOT / FLY.name).parent / FLY.read()["build"]["dockerfile"]).read_text())
    assert [*stages][-1] == "identity", "Fly takes the last stage"
    all_of_it = [each.name for stage in stages.values() for each in stage.instructions]
    assert "ENTRYPOINT" not in all_of_it


def test_no_redis_of_a_file_throws_anything_away() -> None:
    assert render_services()["keyvalue"]["maxmemoryPolicy"] == "noeviction"
    valkey = FLY_VALKEY.read()
    (command,) = valkey["processes"].values()
    (mount,) = valkey["mounts"]
    for option in (
        f"--dir {mount['destination']}",
        "--appendonly yes",
        "--appendfsync always",
        "--maxmemory-policy noeviction",
        '--requirepass "$VALKEY_PASSWORD"',
    ):
        assert option in command


def test_railways_redis_keeps_each_write() -> None:
    (command,) = [
        block.text
        for block in blocks(DOCS / "how-to/other-hosts.md", "text")
        if "redis-server" in block.text
    ]
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert option in command


def test_the_page_adds_the_add_ons_of_app_json() -> None:
    page = "".join(block.text for block in blocks(DOCS / "how-to/heroku.md", "console"))
    assert re.findall(r"addons:create (\S+)", page) == HEROKU.read()["addons"]
    assert f"--stack {HEROKU.read()['stack']}" in page


def test_the_python_that_hosts_take_is_one_that_we_support() -> None:
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert supported["requires-python"] == ">=" + (ROOT / ".python-version").read_text().strip()
