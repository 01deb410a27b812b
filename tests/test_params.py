"""params.yaml: every fault of the file at once, in words a person can act on."""

import pytest

from pipelines.errors import Fault
from pipelines.params import read, read_row

GOOD = """
run: {seed: 1, threads: 1}
ingest:
  tiny: {method: csv, source: notices.csv}
tokenize:
  words: {method: words, corpus: tiny}
cooccur:
  w5: {method: windowed, tokens: words}
embed:
  glove: {method: glove, counts: w5}
"""


def rows_of(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    return read(tmp_path)


def faults_of(tmp_path, text):
    with pytest.raises(Fault) as caught:
        rows_of(tmp_path, text)
    return caught.value.faults


def test_a_row_has_its_method_inputs_and_typed_knobs(tmp_path):
    glove = rows_of(tmp_path, GOOD)[-1]
    assert (glove.verb, glove.name, glove.method.name, glove.inputs) == ("embed", "glove", "glove", {"counts": ["w5"]})
    assert glove.knobs.x_max == 100.0


def test_all_faults_of_the_file_are_reported_at_once(tmp_path):
    faults = faults_of(
        tmp_path,
        GOOD.replace("counts: w5}", "counts: w6, xmax: 10, epochs: ten, vector_size: 0}")
        .replace("method: words", "method: wrods")
        .replace("seed: 1", "seed: -1")
        + "evalute:\n  x: {}\nplacement:\n  embed.glvoe: {queue: gpu}\n",
    )
    text = "\n".join(faults)
    assert "embed.glove has no knob 'xmax'; glove takes" in text
    assert "Did you mean 'x_max'?" in text
    assert "embed.glove.epochs is 'ten'" in text
    assert "embed.glove.vector_size is 0; it should be greater than or equal to 1" in text
    assert "embed.glove.counts names 'w6', which is not a row of cooccur. Did you mean 'w5'?" in text
    assert "tokenize has no method 'wrods'" in text
    assert "Did you mean 'words'?" in text
    assert "run.seed is -1" in text
    assert "no place for 'evalute'" in text
    assert "Did you mean 'evaluate'?" in text
    assert "placement.embed.glvoe is not a row. Did you mean 'embed.glove'?" in text
    assert len(faults) == len(set(faults))


def test_a_knob_as_another_tool_calls_it_is_pointed_to_the_one_here(tmp_path):
    negative, hs = faults_of(tmp_path, GOOD + "  s: {method: skipgram, tokens: words, hs: 1, negative: 0}\n")
    assert negative.endswith("embed.s.negative is 0; it should be 1 or more; loss: hierarchical or softmax needs no noise words")
    assert "embed.s has no knob 'hs'; skipgram takes" in hs
    assert hs.endswith("Here it is loss: hierarchical")


def test_a_row_may_have_a_seed_of_its_own_and_takes_the_rest_from_run(tmp_path):
    glove = rows_of(tmp_path, GOOD.replace("counts: w5}", "counts: w5, seed: 7}"))[-1]
    assert (glove.world.seed, glove.world.threads) == (7, 1)


def test_a_list_of_rows_may_not_be_empty_where_the_method_needs_one(tmp_path):
    faults = faults_of(tmp_path, GOOD + "evaluate:\n  c: {method: classification, predictions: []}\n")
    assert any("evaluate.c.predictions is empty; it must name rows of classify" in fault for fault in faults)


def test_placement_overrides_what_the_method_says(tmp_path):
    glove = rows_of(tmp_path, GOOD + "placement:\n  embed.glove: {queue: gpu, retries: 2}\n")[-1]
    assert (glove.placement.queue, glove.placement.retries) == ("gpu", 2)


def test_params_are_yaml_1_2_as_dvc_reads_them(tmp_path):
    # YAML 1.1 would read 1e-3 as text and `no` as False
    rows = rows_of(tmp_path, GOOD.replace("counts: w5}", "counts: no, lr: 1e-3}").replace("w5:", "no:"))
    assert rows[-1].knobs.lr == 0.001
    assert rows[-1].inputs == {"counts": ["no"]}


def test_a_number_in_quotes_is_not_a_number(tmp_path):
    assert "embed.glove.epochs is '10'" in faults_of(tmp_path, GOOD.replace("counts: w5}", "counts: w5, epochs: '10'}"))[0]


def test_a_row_name_cannot_leave_its_folder_or_reach_a_shell(tmp_path):
    for name in ("../x", "a b", "a;rm", "-x", "a/b", "$(x)"):
        assert "letters, digits and hyphens" in "\n".join(faults_of(tmp_path, GOOD.replace("  glove:", f"  '{name}':")))


def test_rows_that_read_each_other_are_a_ring(tmp_path, monkeypatch):
    from dataclasses import replace

    from pipelines import registry

    real = registry.load

    def with_vectors(verb, name, root):
        method = real(verb, name, root)
        return replace(method, inputs={"vectors": registry.Input(registry.NOUNS["vectors"], False, False)}) if verb == "embed" else method

    monkeypatch.setattr(registry, "load", with_vectors)
    ring = GOOD.replace("glove: {method: glove, counts: w5}", "a: {method: glove, vectors: b}\n  b: {method: glove, vectors: a}")
    assert any("embed.a -> embed.b -> embed.a" in fault for fault in faults_of(tmp_path, ring))


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", "run: 3\n", "embed: 3\n", "embed:\n  x: 3\n", "a: 1\na: 2\n"])
def test_what_is_no_parameter_file_is_a_fault_and_not_a_traceback(tmp_path, text):
    assert faults_of(tmp_path, text)


def test_one_row_is_read_without_importing_the_other_methods(tmp_path):
    (tmp_path / "params.yaml").write_text(GOOD.replace("method: words", "method: no-such"))
    assert read_row(tmp_path, "embed", "glove").name == "glove"
    with pytest.raises(Fault, match=r"embed has no row 'glvoe'.*Did you mean 'glove'"):
        read_row(tmp_path, "embed", "glvoe")


def test_the_parameter_files_that_are_shipped_are_valid(tmp_path):
    from tests.support import HOME

    files = [HOME / "params.yaml", HOME / "tests/tiny/params.yaml", *(HOME / "experiments").glob("*.yaml")]
    assert len(files) >= 3
    for file in files:
        assert rows_of(tmp_path, file.read_text()), file


def test_no_knob_wants_what_yaml_cannot_write():
    """YAML has lists, no tuples: a strict tuple could be given by nobody."""
    from pipelines import registry

    for verb in registry.VERBS:
        for name in registry.methods(verb):
            for knob, field in registry.load(verb, name).params.model_fields.items():
                assert "tuple" not in str(field.annotation), f"{verb}.{name}.{knob}"


def test_all_faults_of_the_gates_are_reported_with_the_nearest_name(tmp_path):
    text = "\n".join(
        faults_of(
            tmp_path,
            GOOD
            + """gates:
  corpsu: {leaks: 0.1}
  corpus.nope: {leaks: 0.1}
  vectors: {largest_nrm: 5, effective_rank: none}
  vectors.glove: {near_identical: 2, warn: [effectiv_rank]}
  tokens: {warn: [unknown], fail: [unknown]}
""",
        )
    )
    assert "gates.corpsu is no noun, and no NOUN.ROW of a row. Did you mean 'corpus'?" in text
    assert "gates.corpus.nope is no noun" in text
    assert "gates.vectors has no threshold 'largest_nrm'; it takes" in text
    assert "Did you mean 'largest_norm'?" in text
    assert "gates.vectors.effective_rank is 'none'; it should be a valid number" in text
    assert "gates.vectors.glove.near_identical is 2" in text
    assert "gates.vectors.glove.warn is ['effectiv_rank']; it must name some of" in text
    assert "Did you mean 'effective_rank'?" in text
    assert "'unknown' is in warn and in fail" in text


def test_thresholds_are_the_nouns_own_then_those_of_the_noun_then_those_of_the_row(tmp_path):
    from pipelines.params import thresholds

    rows_of(tmp_path, GOOD + "gates:\n  vectors: {largest_norm: 5, effective_rank: 3}\n  vectors.glove: {largest_norm: 7}\n")
    glove, other = thresholds(tmp_path, "vectors", "glove"), thresholds(tmp_path, "vectors", "other")
    assert (glove.largest_norm, glove.effective_rank, glove.near_identical) == (7, 3, 0.2)
    assert other.largest_norm == 5
