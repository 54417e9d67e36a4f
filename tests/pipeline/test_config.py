"""A mistake in a config is answered with field, value, rule and remedy, before anything is made."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.errors import ConfigError, UserError
from cluster.storage import LocalStorage
from cluster.telemetry import Terminal
from pipeline.config import build, check_dialogues, merge, override, parse_set
from pipeline.recipes import RECIPES, load
from pipeline.run import Driver, _keep_plan, _same_recipe, run_journey
from pipeline.stages import NAMES
from pipeline.views.plan import make_plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("pretrain.tokns=5", ["pretrain.tokns", "no such field", "Did you mean tokens?"]),
        ("pretain.tokens=5", ["pretain", "no such field", "Did you mean pretrain?"]),
        ("corpus.dedup.bandz=3", ["corpus.dedup.bandz", "Did you mean bands?"]),
        ("seed=-1", ["seed", "-1", "greater than or equal to 0"]),
        ("pretrain.tokens=lots", ["pretrain.tokens", "lots", "--set pretrain.tokens=..."]),
        ("corpus.heldout=0.7", ["corpus.heldout", "0.7", "less than 0.5"]),
        ("pretrain.batch=[[0.0, 6]]", ["pretrain.batch", "6", "multiple of pretrain.logical_shards = 4", "Take 8"]),
        ("search.batches=[[[0.0, 4], [0.5, 5]]]", ["search.batches[0]", "5", "Take 4"]),
        ("pretrain.batch=[[0.5, 4]]", ["pretrain.batch", "begin at 0.0"]),
        ("pretrain.replicas=5", ["pretrain.replicas", "5", "at most pretrain.logical_shards = 4"]),
        ("finetune.batch=6", ["finetune.batch", "6", "multiple of finetune.logical_shards = 4", "Take 8"]),
        ("reward.batch=2", ["reward.batch", "2", "multiple of reward.logical_shards = 4", "Take 4"]),
        ("finetune.replicas=8", ["finetune.replicas", "8", "at most finetune.logical_shards = 4"]),
        ("reward.replicas=5", ["reward.replicas", "5", "at most reward.logical_shards = 4"]),
        ("model.vocab_size=5000", ["model.vocab_size", "5000", "tokens.vocab_size = 4096"]),
        ("model.heads=5", ["model", "multiple of 2 x heads"]),
        ("optim.warmup_fraction=0.9", ["optim", "at most 1"]),
        ("optim.peak_lr=0", ["optim.peak_lr", "0", "greater than 0"]),
        ("search.batches=[[]]", ["search.batches[0]", "begin at 0.0"]),
        ("nonsense", ["--set", "a.b=value"]),
        ("seed.x=1", ["--set", "seed.x", "not a section"]),
    ],
)
def test_a_mistake_is_explained(change: str, told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load("tiny", [change])
    assert caught.value.exit_code == 2
    for part in told:
        assert part in str(caught.value), str(caught.value)


def test_an_unknown_recipe_names_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="tiny"):
        load("huge", [])


def test_a_malformed_toml_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "tiny"\n[pretrain\n')
    with pytest.raises(ConfigError, match="line 2"):
        load(str(path), [])


def test_a_toml_file_says_only_what_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "tiny"\n[pretrain]\ntokens = 5\n')
    found, tiny = load(str(path), ["pretrain.replicas=1"]), load("tiny", [])
    assert found.recipe == "mine", "it must not meet the run directory of its base"
    assert found.pretrain.tokens == 5
    assert found.pretrain.replicas == 1
    assert found.corpus == tiny.corpus


def test_relative_sources_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "tiny"\n[[corpus.sources]]\nname = "a"\nkind = "text"\npath = "text/*.txt"\n')
    assert load(str(path), []).corpus.sources[0].path == str(tmp_path / "text/*.txt")


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_are_whole(name: str) -> None:
    assert load(name, []).recipe == name


def test_a_resolved_config_reads_back_as_itself() -> None:
    config = load("tiny", [])
    assert build(config.model_dump(mode="json")) == config


def test_sets_take_toml_values_or_text() -> None:
    assert parse_set("a.b=3") == ("a.b", 3)
    assert parse_set("a=[1, 2]") == ("a", [1, 2])
    assert parse_set("a=some text") == ("a", "some text")
    values: dict[str, object] = {"a": {"b": 1}}
    override(values, "a.c.d", 2)
    assert values == {"a": {"b": 1, "c": {"d": 2}}}
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


def test_a_run_directory_of_another_recipe_is_refused(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    config = load("tiny", [])
    _same_recipe(store, config)
    import tomli_w

    other = {**config.model_dump(mode="json", exclude_none=True), "recipe": "other"}
    store.put("run.toml", tomli_w.dumps(other).encode())
    with pytest.raises(UserError, match="other"):
        _same_recipe(store, config)


@pytest.mark.parametrize("left", ["lease/000001.json", "events/000001-00000.jsonl", "logs/driver.log", "plan.json"])
def test_what_a_driver_left_before_its_config_is_no_obstacle(tmp_path: Path, left: str) -> None:
    store = LocalStorage(tmp_path)
    store.put(left, b"{}")
    _same_recipe(store, load("tiny", []))


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(UserError, match="no run of ours"):
        _same_recipe(LocalStorage(tmp_path), load("tiny", []))


@pytest.mark.parametrize(
    ("sets", "field", "said"),
    [
        (["model.kv_heads=3"], "model.kv_heads", "must divide heads = 4. Take 0 for one each"),
        (["model.norm=none", "model.placement=post"], "model.placement", "norm is none. Take pre, or a norm"),
        (["model.init=mup"], "model.base_width", "needs the width of the small model"),
        (["optim.warmup_fraction=0.7"], "optim.warmup_fraction", "must be at most 1. Lower one"),
        (["optim.kind=sgd", "model.init=mup", "model.base_width=64"], "optim.kind", "for Adam. Take adamw"),
        (["pretrain.context_ramp=[[0.0, 100]]"], "pretrain.context_ramp", "divides model.context"),
        (["pretrain.fim_rate=0.5"], "pretrain.fim_rate", "tokens.file"),
        (
            ["pretrain.layout={fsdp=2}", "pretrain.batch=[[0.0, 8], [0.5, 12]]", "search.enabled=false"],
            "pretrain.layout.micro_batches",
            "3 rows are cut into fsdp x expert x micro_batches = 2 passes, with pretrain.batch of 12",
        ),
        (["pretrain.layout={fsdp=2}"], "pretrain.layout.micro_batches", "with search.batches[1] of 4"),
        (
            ["pretrain.layout={fsdp=2}", "search.enabled=false", "pretrain.swaps=[{at=9, set={batch=4}}]"],
            "pretrain.layout.micro_batches",
            "with pretrain.swaps.set = {'batch': 4}",
        ),
        (
            ["pretrain.layout={tensor=2}", 'pretrain.swaps=[{at=9, set={"optim.kind"="adafactor"}}]'],
            "pretrain.layout.tensor",
            "adafactor needs whole matrices",
        ),
        (
            ["pretrain.layout={tensor=2}", 'pretrain.swaps=[{at=9, set={"model.attention_dropout"=0.1}}]'],
            "pretrain.layout.tensor",
            "each head draws its own mask",
        ),
        (
            ["model.init=mup", "model.base_width=64", 'pretrain.swaps=[{at=9, set={"optim.kind"="sgd"}}]'],
            "pretrain.swaps.set.optim.kind",
            "for Adam. Take adamw",
        ),
        (
            ["pretrain.layout={tensor=4, sequence=true}", "pretrain.context_ramp=[[0.0, 2], [0.5, 256]]"],
            "pretrain.context_ramp",
            "over tensor = 4 workers. Take multiples",
        ),
        (["pretrain.layout={replicas=3}", "pretrain.replicas=2"], "pretrain.layout.replicas", "Say it in one place"),
        (["pretrain.swaps=[{at=5000, set={batch=0}}]"], "pretrain.swaps.set.batch", "multiple of"),
        (
            ['pretrain.swaps=[{at=5000, set={"optim.beta2"=0.99}}]'],
            "pretrain.swaps.at",
            "steps, so it would never be made. Take an earlier step",
        ),
    ],
)
def test_what_does_not_fit_together_names_field_rule_and_remedy(sets: list[str], field: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("tiny", sets)
    assert str(caught.value).startswith(f"{field} = ")
    assert said in str(caught.value)


OWN = '[{name = "mine", kind = "text", path = "a.txt"}]'


@pytest.mark.parametrize("until", [None, "finetune", "export"])
def test_a_run_to_finetuning_without_its_dialogues_is_refused_before_it_begins(tmp_path: Path, until: str) -> None:
    config = load("tiny", [f"corpus.sources={OWN}"])
    with pytest.raises(ConfigError) as caught:
        run_journey(config, str(tmp_path / "run"), Terminal(io.StringIO()), until)
    assert caught.value.field == "finetune.sources"
    assert caught.value.value == ["chats", "questions"]
    assert "whose sources are mine" in caught.value.rule
    assert "--until evaluate@pretrain" in caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("own", "field", "held", "before"),
    [
        ([], "reward.sources", "ratings", "evaluate@finetune"),
        (['reward.sources=["mine"]'], "rlhf.sampling.sources", "turns", "reward"),
    ],
)
def test_later_stages_are_asked_too_but_none_that_the_run_does_not_make(
    own: list[str], field: str, held: str, before: str
) -> None:
    config = load("tiny", [f"corpus.sources={OWN}", 'finetune.sources=["mine"]', *own])
    with pytest.raises(ConfigError) as caught:
        check_dialogues(config, NAMES)
    assert (caught.value.field, caught.value.value) == (field, ["chats"])
    assert f"Name those with {held}" in caught.value.remedy
    assert caught.value.remedy.endswith(f"--until {before}")
    check_dialogues(config, NAMES[: NAMES.index(before) + 1])  # what the remedy says is taken


def test_one_absent_name_beside_one_that_is_there_is_not_dropped() -> None:
    config = load("tiny", ['finetune.sources=["chats", "chat"]'])
    with pytest.raises(ConfigError) as caught:
        check_dialogues(config)
    assert caught.value.value == ["chat"]


def test_one_of_the_default_sources_is_enough() -> None:
    check_dialogues(load("tiny", ['corpus.sources=[{name = "chats", kind = "chats"}]']))


def test_a_swap_may_come_as_late_as_small_batches_make_the_run() -> None:
    sets = ["search.enabled=false", "pretrain.tokens=256000", "pretrain.batch=[[0.0, 4], [0.5, 256]]"]
    late = 'pretrain.swaps=[{at=2, set={batch=4}}, {at=252, set={"optim.beta2"=0.99}}]'
    assert load("tiny", [*sets, late]).most_steps >= 256


def test_a_run_that_ends_before_finetuning_needs_no_dialogue() -> None:
    config = load("tiny", [f"corpus.sources={OWN}"])
    check_dialogues(config, NAMES[: NAMES.index("evaluate@pretrain") + 1])


def test_a_plan_says_that_it_would_be_refused() -> None:
    notes = make_plan(load("tiny", [f"corpus.sources={OWN}"]), None).notes
    assert any("refused: finetune.sources" in note for note in notes)
    assert not any("refused" in note for note in make_plan(load("tiny", []), None).notes)


def test_a_changed_config_is_predicted_anew_and_at_the_rate_that_was_measured(tmp_path: Path) -> None:
    store, told = LocalStorage(tmp_path), []

    def keep(*sets: str) -> dict[str, Any]:
        events = SimpleNamespace(add=lambda kind, **facts: told.append(kind))
        _keep_plan(cast(Driver, SimpleNamespace(config=load("tiny", list(sets)), storage=store, events=events)))
        found: dict[str, Any] = json.loads(store.get("plan.json"))
        return found

    first = keep()
    assert keep() == first
    assert told == []
    other = keep("pretrain.tokens=400000")
    assert told == ["plan_renewed"]
    assert other["tokens"]["pretrain"] < first["tokens"]["pretrain"]
    assert other["rate_flops"] == first["rate_flops"]
    assert other["seconds"]["finetune"] == first["seconds"]["finetune"]
    store.put("plan.json", b'{"seconds": {}}')  # of an earlier version
    assert keep()["tokens"] == first["tokens"]
    assert told == ["plan_renewed"] * 2
