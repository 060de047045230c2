"""Laws of the settings: precedence, paths, and nothing ignored in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from personalm.errors import SettingsError, TemplateError
from personalm.kinds import load_kind
from personalm.settings import load_settings

ROOT = Path(__file__).parent.parent
REAL = ("temperature", "top_p", "min_p", "repetition_penalty")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small configuration file, with no other one in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSONALM_CONFIG", raising=False)
    path = tmp_path / "conf" / "my.toml"
    path.parent.mkdir()
    path.write_text('seed = 1\n[inputs]\ninteractions = "chat/*.parquet"\n')
    return path


def test_arguments_win_over_the_environment_over_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer the caller, the stronger."""
    assert load_settings(config).seed == 1
    monkeypatch.setenv("PERSONALM_SEED", "2")
    assert load_settings(config).seed == 2
    assert load_settings(config, seed=3).seed == 3


def test_an_argument_reaches_into_a_section_and_leaves_the_rest(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dotted name sets one value; what the environment set beside it stays."""
    monkeypatch.setenv("PERSONALM_GENERATION__DTYPE", "float32")

    generation = load_settings(config, **{"generation.candidates": 2}).generation

    assert (generation.candidates, generation.dtype) == (2, "float32")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a/b.parquet", ("a/b.parquet",)),
        ('["a.parquet", "b, c.parquet"]', ("a.parquet", "b, c.parquet")),
        ("[ab].parquet", ("[ab].parquet",)),
    ],
)
def test_a_variable_gives_one_string_as_it_is_and_several_as_json(
    given: str, expected: tuple[str, ...], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any depth; what looks like a list and is none is the name of a file."""
    monkeypatch.setenv("PERSONALM_INPUTS__REQUESTS", given)
    monkeypatch.setenv("PERSONALM_KINDS", given)
    monkeypatch.setenv("PERSONALM_GENERATION__LANGUAGES", given)

    settings = load_settings(config)

    assert settings.inputs.requests == settings.kinds == expected
    assert settings.generation.languages == expected


def test_a_variable_that_must_be_json_is_named(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in it may be a secret, and is not said."""
    monkeypatch.setenv("PERSONALM_INPUTS__COLUMNS", "hunter2")

    with pytest.raises(SettingsError, match="PERSONALM_INPUTS__COLUMNS") as caught:
        load_settings(config)
    assert "hunter2" not in caught.value.message + (caught.value.remedy or "")


def test_an_argument_that_is_not_given_changes_nothing(config: Path) -> None:
    """None means: as the configuration says."""
    assert load_settings(config, seed=None).seed == 1


def test_a_mark_before_the_first_letter_says_nothing(config: Path) -> None:
    """Some editors write one."""
    text = config.read_text(encoding="utf-8")
    plain = load_settings(config)
    config.write_text(text, encoding="utf-8-sig")
    assert load_settings(config) == plain


def test_values_nested_too_deep_are_refused_in_words(config: Path) -> None:
    """No traceback of the parser's."""
    config.write_text(f"kinds = {'[' * 5000}{']' * 5000}", encoding="utf-8")
    with pytest.raises(SettingsError, match="nested too deep"):
        load_settings(config)


def test_paths_of_a_file_start_at_its_folder(config: Path) -> None:
    """A configuration works from wherever it is called."""
    assert load_settings(config).inputs.interactions == (f"{config.parent}/chat/*.parquet",)


def test_variables_in_paths_start_at_the_current_folder(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PERSONALM_DATA=data` means the folder below the one the caller stands in."""
    config.write_text('[inputs]\nitems = "${PERSONALM_DATA}/items.parquet"\n')
    monkeypatch.setenv("PERSONALM_DATA", "data")

    assert load_settings(config).inputs.items == (f"{config.parent.parent}/data/items.parquet",)


def test_a_variable_that_is_not_set_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which one, and how to set it."""
    config.write_text('[inputs]\nitems = "${PERSONALM_DATA}/items.parquet"\n')
    monkeypatch.delenv("PERSONALM_DATA", raising=False)

    with pytest.raises(SettingsError, match="PERSONALM_DATA"):
        load_settings(config)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sed = 1", "sed: unknown key"),
        ("[generation]\ntemprature = 1", "generation.temprature: unknown key"),
        ("[generation]\ntemperature = -1", "generation.temperature"),
        ('[inputs.columns.user]\nx = "y"', "unknown table 'user'"),
        ('[inputs.columns.items.year]\ncolumn = "y"\nunit = "h"', "unit"),
        ('kinds = ["post", "post"]', "a kind is named twice"),
        ("seed = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(
    config: Path, text: str, named: str
) -> None:
    """A misspelt key is an error, never ignored."""
    config.write_text(text)

    with pytest.raises(SettingsError) as caught:
        load_settings(config)

    assert named in str(caught.value)
    assert str(config) in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        *(f"{name} = {value}" for name in REAL for value in ("nan", "inf", "-inf", "-0.1", "5.1")),
        "top_p = 0",
        "top_p = 1.1",
        "min_p = 1.1",
        "repetition_penalty = 0",
        "top_k = -1",
        "top_k = 2.5",
        "no_repeat_ngram = -1",
        "max_new_tokens = 0",
        "candidates = 0",
        "candidates = 65",
    ],
)
def test_nothing_is_drawn_by_numbers_that_mean_nothing(config: Path, line: str) -> None:
    """They would end in scores that are no numbers, in the middle of a run."""
    config.write_text(f"[generation]\n{line}\n")

    with pytest.raises(SettingsError, match=line.partition(" ")[0]):
        load_settings(config)
    template = config.parent / "post.j2"
    given = "" if line.startswith("max_new_tokens") else "max_new_tokens = 20\n"
    template.write_text(f'+++\nsubject = "topic"\n{given}gates = []\n{line}\n+++\nPost:')
    with pytest.raises(TemplateError, match=line.partition(" ")[0]):
        load_kind(template)


@pytest.mark.parametrize(
    "variable", ["PERSONALM_SED", "PERSONALM_GENERATION__DTYP", "personalm_sede"]
)
def test_an_unknown_variable_is_an_error(
    config: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt environment variable is an error as well."""
    monkeypatch.setenv(variable, "1")

    with pytest.raises(SettingsError, match=variable):
        load_settings(config)


def test_a_named_file_that_is_missing_is_an_error(config: Path) -> None:
    """Nobody runs on defaults by a misspelt name."""
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(config.with_name("other.toml"))


@pytest.mark.parametrize("path", [ROOT / "personalm.toml", *sorted(ROOT.glob("examples/*.toml"))])
def test_the_shipped_configurations_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every configuration of the repository can be read."""
    monkeypatch.setenv("PERSONALM_DATA", "/data")

    assert load_settings(path).model


def test_models_beside_the_file_are_found_from_anywhere(config: Path) -> None:
    """As all relative paths of the file are; what is no folder there is a name."""
    (config.parent / "tuned").mkdir()
    plain = config.read_text()
    config.write_text('model = "tuned"\n' + plain + '[selection]\nembedder = "tuned"\n')
    settings = load_settings(config)
    assert settings.model == settings.selection.embedder == str(config.parent / "tuned")

    config.write_text('model = "gpt2"\n' + plain + '[selection]\nembedder = "bundled:minilm-l6"\n')
    settings = load_settings(config)
    assert (settings.model, settings.selection.embedder) == ("gpt2", "bundled:minilm-l6")


@pytest.mark.parametrize("value", ['"body"', "5", '["a"]'])
def test_columns_that_are_no_mapping_are_refused_with_the_form_they_want(
    value: str, config: Path
) -> None:
    """It is how one would name a single column."""
    config.write_text(f"[inputs.columns]\ninteractions = {value}\n")

    with pytest.raises(SettingsError, match=r"\[inputs.columns.interactions\] with lines such as"):
        load_settings(config)
