"""The sequence autoencoder."""

import numpy as np
import pytest
import torch

from pipelines import coding
from pipelines.compress.recurrent import END, Params, SequenceAutoencoder, compress, in_words, rebuild
from pipelines.errors import Fault
from pipelines.method import Run
from tests.kill import check_goes_on
from tests.matrices import files, vectors_of
from tests.texts import tokens_of

SMALL = Params(hidden_size=12, vector_size=6, batch_size=16, epochs=2)
SPLITS = ["train", "valid", "test", "unlabelled"]


def texts(n=60, words=12, longest=6, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, words, rng.integers(1, longest)).tolist() for _ in range(n)]


def tokens(folder, documents=None):
    documents = documents or texts()
    return tokens_of(folder, documents, n_vocab=12, splits=[SPLITS[i % 4] for i in range(len(documents))])


def error(codings):
    return codings.read(columns=["error"]).column("error").to_numpy()


def model(**knobs):
    torch.manual_seed(0)
    return SequenceAutoencoder(np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), Params(hidden_size=5, **knobs)).eval()


KINDS = [
    {"softmax": softmax, "backwards": backwards, "num_layers": n}
    for softmax in ("full", "adaptive")
    for backwards in (True, False)
    for n in (1, 2)
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_as_improbable_as_its_words_told_one_by_one(kind):
    net, document = model(**kind), [3, 0, 7, 3]
    with torch.no_grad():
        made = net(torch.tensor([document]).T, torch.tensor([4]))[0]
        state, nats = net.first(made[None, :-1]), []
        told = document[::-1] if kind["backwards"] else document
        for before, word in zip([END, *told], [*told, END], strict=True):
            seen = torch.cat([net.embedding.weight[before], made[:-1]])
            out, state = net.decoder(seen[None, None], state)
            logs = net.softmax(out[0]).log_softmax(1) if kind["softmax"] == "full" else net.softmax.log_prob(out[0])
            assert logs.exp().sum().item() == pytest.approx(1, abs=1e-5)
            nats.append(-logs[0, word].item())
    known = [i for i, word in enumerate(told) if word] + [4]  # all but the unknown one, and the end
    assert made[-1].item() == pytest.approx(np.mean([nats[i] for i in known]), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_neither_coding_nor_error(kind):
    net = model(**kind, coding_size=3)
    with torch.no_grad():
        alone = net(torch.tensor([[1, 2, 3]]).T, torch.tensor([3]))
        together = net(torch.tensor([[1, 2, 3, 0, 0], [4, 4, 4, 4, 4]]).T, torch.tensor([3, 5]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)


def test_a_long_enough_training_tells_the_documents_back_word_for_word(tmp_path):
    documents = texts(40)
    params = Params(hidden_size=48, vector_size=16, batch_size=10, epochs=150, patience=150, lr=0.01)
    made = compress(tokens_of(tmp_path / "t", documents, n_vocab=12), params, Run(tmp_path / "c", seed=1))
    assert error(made).max() < 0.2
    assert in_words(made.folder, made.matrix()) == [[f"w{i}" for i in document] for document in documents]
    assert in_words(made.folder, made.matrix()[:1], max_tokens=2)[0] == [f"w{i}" for i in documents[0][-2:]]  # the last are told first


def test_every_document_of_every_split_has_a_coding_in_the_tokens_order(tmp_path):
    toy = tokens(tmp_path / "t", [*texts(9), [], [0, 0], [1] * 50])
    made = compress(toy, SMALL.model_copy(update={"coding_size": 3, "max_tokens": 5}), Run(tmp_path / "c", seed=1))
    assert made.items() == [f"d{i}" for i in range(12)]
    assert made.matrix().shape == (12, 3)
    net = rebuild(*made.model())
    values, offsets = toy.ids(SPLITS)
    for i in range(9):
        ids = torch.tensor(values[offsets[i] : offsets[i + 1]][:5])
        with torch.no_grad():
            alone = net(ids[:, None], torch.tensor([len(ids)]))[0].numpy()
        assert np.append(made.matrix()[i], error(made)[i]) == pytest.approx(alone, abs=1e-5)
    assert made.matrix()[9] == pytest.approx(net.encode(torch.zeros((1, 1), dtype=torch.int64), torch.tensor([1]))[0].detach().numpy())
    assert np.isfinite(error(made)).all()


def test_it_learns_from_its_splits_alone_and_stops_by_valid(tmp_path):
    documents = texts(60)
    other = [[5] * 4 if i % 4 == 2 else document for i, document in enumerate(documents)]  # another test split
    runs = [Run(tmp_path / name, seed=1) for name in "ab"]
    made = [compress(tokens(tmp_path / f"t{run.folder.name}", d), SMALL, run) for run, d in zip(runs, (documents, other), strict=True)]
    assert files(made[0])["model.safetensors"] == files(made[1])["model.safetensors"]
    mine = np.arange(60) % 4 == 1
    assert min(point["valid_loss"] for point in runs[0].curve) == pytest.approx(error(made[0])[mine].mean(), rel=1e-5)


def test_given_word_vectors_are_where_training_begins(tmp_path):
    v = vectors_of(tmp_path / "v", ["w3", "w5", "elsewhere"], np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32))
    tiny = SMALL.model_copy(update={"epochs": 1, "lr": 1e-9})
    table = compress(tokens(tmp_path / "t"), tiny, Run(tmp_path / "c", seed=1), vectors=v).model()[1]["embedding.weight"]
    given = v.matrix()[:2]
    assert table[[3, 5]] / table[3, 0] == pytest.approx(given / given[0, 0], rel=1e-4)  # up to one factor
    assert np.abs(np.delete(table, [3, 5], axis=0)).max() < 1e-6


def test_words_that_the_decoder_is_not_shown_are_no_matter_once_it_is_trained(tmp_path):
    knobs = {"word_dropout": 0.9}
    with torch.no_grad():
        ids, lengths = torch.tensor([[1, 2, 3]]).T, torch.tensor([3])
        assert torch.equal(model(**knobs)(ids, lengths), model()(ids, lengths))
        assert not torch.equal(model(**knobs).train()(ids, lengths), model()(ids, lengths))


def test_killed_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    toy, params = tokens(tmp_path / "t"), SMALL.model_copy(update={"epochs": 3, "word_dropout": 0.3})
    check_goes_on(lambda run: compress(toy, params, run), tmp_path, monkeypatch)


def test_what_it_cannot_do_is_said(tmp_path):
    with pytest.raises(Fault, match="the documents of train, unlabelled hold no known word"):
        compress(tokens(tmp_path / "t", [[0], [0], [0]]), SMALL, Run(tmp_path / "c"))
    v = vectors_of(tmp_path / "v", ["Good", "Bad"], np.eye(2, dtype=np.float32))
    with pytest.raises(Fault, match=r"none of the 12 words of tokens/u is in vectors/v"):
        compress(tokens(tmp_path / "u"), SMALL, Run(tmp_path / "c"), vectors=v)
    made = compress(tokens(tmp_path / "w"), SMALL, Run(tmp_path / "d", seed=1))
    with pytest.raises(Fault, match="its model is 'recurrent', which has no way back to vectors"):
        coding.decode(made)
    with pytest.raises(Fault, match=r"codings have 12 numbers, these are of shape \(2, 3\)"):
        in_words(made.folder, np.zeros((2, 3)))
    with Run(tmp_path / "e").open(type(made)) as out:
        out.append(item=["a"], coding=np.zeros((1, 2)), error=[0])
        out.model({"model": "autoencoder"}, {"mean": np.zeros(2, np.float32)})
    with pytest.raises(Fault, match="its model is 'autoencoder'; words are told by codings of 'recurrent'"):
        in_words(tmp_path / "e", np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("settings", "weights", "said"),
    [
        (lambda s: s, lambda w: w | {"begin.weight": w["begin.weight"][:-1]}, "size mismatch for begin.weight"),
        (lambda s: s, lambda w: {name: it for name, it in w.items() if name != "embedding.weight"}, "'embedding.weight'"),
        (lambda s: s, lambda w: w | {"begin.bias": w["begin.bias"] * np.inf}, "begin.bias hold numbers that are not finite"),
        (lambda s: s | {"words": s["words"][:-1]}, lambda w: w, "11 words for 12 vectors"),
        (lambda s: {"model": s["model"], "words": s["words"]}, lambda w: w, "'params'"),
    ],
)
def test_a_model_that_cannot_tell_words_is_a_fault(tmp_path, settings, weights, said):
    made = compress(tokens(tmp_path / "t"), SMALL, Run(tmp_path / "c", seed=1))
    as_made, trained = made.model()
    with Run(tmp_path / "e").open(type(made)) as out:
        out.append(item=["a"], coding=np.zeros((1, 12)), error=[0])
        out.model(settings(as_made), weights(trained))
    with pytest.raises(Fault, match=rf"codings/e: its weights are not those of its settings \(.*{said}.*\)\. Run again: dvc repro -f"):
        in_words(tmp_path / "e", np.zeros((1, 12)))
