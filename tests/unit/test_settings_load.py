from pathlib import Path

import pytest

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.settings.load import Loaded, load_settings, setting_names, variable_of
from gemstead.settings.show import as_rows, as_toml


def loaded(tmp_path: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: object) -> Loaded:
    (tmp_path / "gemstead.toml").write_text(toml)
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(named, environ={"GEMSTEAD_DATA_DIR": str(tmp_path), **(environ or {})})


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    toml = "[server]\nport = 1111\n"
    assert loaded(tmp_path, toml).settings.server.port == 1111
    assert loaded(tmp_path, toml, {"GEMSTEAD_SERVER_PORT": "2222"}).settings.server.port == 2222
    both = loaded(tmp_path, toml, {"GEMSTEAD_SERVER_PORT": "2222"}, server__port=3333)
    assert both.settings.server.port == 3333
    assert both.origins["server.port"].kind == "flag"


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[server]\nport = 1111\n", server__port=None).origins["server.port"].kind == "file"


def test_every_setting_knows_its_origin(tmp_path: Path) -> None:
    origins = loaded(tmp_path, "[model]\nnum_slots = 3\n", {"HF_TOKEN": "hf_x"}).origins
    assert set(origins) == set(setting_names())
    assert str(origins["model.num_slots"]) == f"file {tmp_path / 'gemstead.toml'}"
    assert str(origins["sources.hf_token"]) == "environment HF_TOKEN"
    assert str(origins["server.port"]) == "default"


@pytest.mark.parametrize(
    ("toml", "environ", "nearest"),
    [
        ("[server]\nprot = 1\n", {}, "server.port"),
        ("[servr]\nport = 1\n", {}, "server.port"),
        ("", {"GEMSTEAD_SERVER_PRT": "1"}, "GEMSTEAD_SERVER_PORT"),
    ],
)
def test_an_unknown_setting_is_an_error_that_suggests_the_nearest(
    tmp_path: Path, toml: str, environ: dict[str, str], nearest: str
) -> None:
    with pytest.raises(NameUnknown) as caught:
        loaded(tmp_path, toml, environ)
    assert caught.value.nearest == nearest


def test_a_bad_value_names_the_setting_the_value_and_where_it_was_set(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as caught:
        loaded(tmp_path, environ={"GEMSTEAD_SERVER_PORT": "ninety"})
    assert "server.port = 'ninety'" in caught.value.what
    assert "GEMSTEAD_SERVER_PORT" in (caught.value.why or "")


@pytest.mark.parametrize("toml", ["[server\n", "port = ", "\x00"])
def test_a_file_that_is_not_toml_is_a_clear_error(tmp_path: Path, toml: str) -> None:
    with pytest.raises(SettingInvalid, match=r"gemstead\.toml cannot be read"):
        loaded(tmp_path, toml)


def test_a_named_file_that_is_missing_is_an_error_but_the_usual_one_may_be_missing(tmp_path: Path) -> None:
    environ = {"GEMSTEAD_DATA_DIR": str(tmp_path)}
    assert load_settings(environ=environ).settings.server.port == 8484
    with pytest.raises(SettingInvalid, match="does not exist"):
        load_settings(file=tmp_path / "none.toml", environ=environ)


def test_a_settings_file_in_the_current_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gemstead.toml").write_text('[engine]\nprogram = "/bin/evil"\n')
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={"GEMSTEAD_DATA_DIR": str(tmp_path / "data")}).settings.engine.program is None


def test_the_data_dir_moves_every_folder(tmp_path: Path) -> None:
    paths = loaded(tmp_path).paths
    for folder in (paths.models, paths.engines, paths.cache, paths.servers, paths.logs, paths.settings_file):
        assert folder.is_relative_to(tmp_path)


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    token = "hf_very_secret"
    found = loaded(tmp_path, environ={"HF_TOKEN": token})
    assert found.settings.sources.hf_token is not None
    assert found.settings.sources.hf_token.get_secret_value() == token
    assert token not in as_toml(found, has_origin=True) + str(as_rows(found)) + repr(found.settings)


def test_a_bad_secret_is_not_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as caught:
        loaded(tmp_path, "[sources]\nhf_token = 12345678\n")
    assert "12345678" not in str(caught.value.what)


def test_the_shown_settings_can_be_saved_and_read_again(tmp_path: Path) -> None:
    first = loaded(tmp_path, '[engine]\nextra_args = ["--mlock"]\n[model]\nnum_slots = 2\n')
    again = loaded(tmp_path, as_toml(first, has_origin=True))
    assert again.settings == first.settings


def test_every_setting_has_a_comment_and_a_variable(tmp_path: Path) -> None:
    toml = as_toml(loaded(tmp_path))
    assert toml.count("\n# ") + 1 >= len(list(setting_names()))
    assert "# None" not in toml
    assert len({variable_of(name) for name in setting_names()}) == len(list(setting_names()))
