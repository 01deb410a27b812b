"""Layers that read from one end to the other: padding changes nothing, and they do as torch's own do."""

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.recurrence import Recurrent, RecurrentKnobs, backwards

CELLS = [nn.RNN, nn.LSTM, nn.GRU]
KINDS = [
    {"pooling": pooling, "bidirectional": both, "num_layers": n}
    for pooling in ("last", "max", "mean")
    for both in (False, True)
    for n in (1, 2)
]


def model(cell, **knobs):
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return Recurrent(cell, vectors, False, 3, RecurrentKnobs(hidden_size=3, **{"dropout": 0.0, **knobs})).eval()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_change_what_is_said_of_a_document(cell, kind):
    net = model(cell, **kind)
    ids = torch.tensor([[1, 2, 3]]).T
    longer = torch.tensor([[1, 2, 3, 0, 0], [4, 4, 4, 4, 4]]).T
    with torch.no_grad():
        alone, together = net(ids, torch.tensor([3])), net(longer, torch.tensor([3, 5]))
    assert together[0].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_reads_as_torch_reads_packed_sequences(cell, kind):
    net, lengths = model(cell, **kind), torch.tensor([5, 1, 3])
    ids = torch.tensor([[1, 2, 3, 4, 5], [3, 0, 0, 0, 0], [5, 4, 2, 0, 0]]).T
    reference = cell(4, 3, num_layers=kind["num_layers"], bidirectional=kind["bidirectional"])
    weights = {}
    for i in range(kind["num_layers"]):
        for layers, suffix in ((net.onward, ""), (net.backward_, "_reverse"))[: 1 + kind["bidirectional"]]:
            weights |= {name.replace("_l0", f"_l{i}{suffix}"): value for name, value in layers[i].state_dict().items()}
    reference.load_state_dict(weights)
    with torch.no_grad():
        packed = nn.utils.rnn.pack_padded_sequence(net.embedding(ids), lengths, enforce_sorted=False)
        out, last = reference(packed)
        last = last[0] if cell is nn.LSTM else last
        states = nn.utils.rnn.pad_packed_sequence(out)[0]  # (T, B, H)
        documents = [states[:n, b] for b, n in enumerate(lengths)]
        pooled = {
            "max": torch.stack([d.amax(0) for d in documents]),
            "mean": torch.stack([d.mean(0) for d in documents]),
            "last": torch.cat(list(last[-1 - kind["bidirectional"] :]), dim=1),
        }[kind["pooling"]]
        assert net(ids, lengths).numpy() == pytest.approx(net.decision(pooled).numpy(), abs=1e-6)


def test_what_is_read_backwards_has_the_gradient_of_each_document_turned_by_itself():
    layer, x, lengths = nn.GRU(4, 3).double(), torch.randn(5, 3, 4, dtype=torch.float64), torch.tensor([5, 1, 3])
    weigh, found = torch.randn(5, 3, 3, dtype=torch.float64), []
    for turn in (True, False):
        given = x.clone().requires_grad_()
        if turn:
            states = backwards(lambda x: layer(x)[0], given, lengths)
            parts = [states[:n, b] for b, n in enumerate(lengths)]
        else:
            parts = [layer(given[:n, b].flip(0))[0].flip(0) for b, n in enumerate(lengths)]
        sum((part * weigh[: len(part), b]).sum() for b, part in enumerate(parts)).backward()
        found.append((given.grad, *parts))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_locked_mask_is_the_same_at_every_token_and_another_in_every_document():
    net = model(nn.LSTM, dropout=0.5, locked=True).train()
    dropped = net.drop(torch.ones(7, 40, 4))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[0]).all()
    assert not (dropped[0] == dropped[0, 0]).all()
    free = model(nn.LSTM, dropout=0.5).train().drop(torch.ones(7, 40, 4))
    assert not (free == free[0]).all()


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_takes_weights_between_states_away_in_training_alone(cell):
    net, ids, lengths = model(cell, recurrent_dropout=0.999999), torch.tensor([[1, 2, 3]]).T, torch.tensor([3])
    whole = net(ids, lengths)
    net.train()
    without = net(ids, lengths)
    without.sum().backward()  # the weights that were dropped have a gradient of zeros
    assert not net.onward[0].weight_hh_l0.grad.any()
    assert net.onward[0].weight_ih_l0.grad.any()
    net.eval()
    net.onward[0].weight_hh_l0.data.zero_()
    assert without.tolist() == [pytest.approx(row) for row in net(ids, lengths).tolist()]
    assert whole.tolist() != without.tolist()


def test_a_forget_gate_that_is_open_at_first_keeps_what_is_in_the_cell():
    net = model(nn.LSTM, forget_bias=30.0, num_layers=2, bidirectional=True)
    layers = [*net.onward, *net.backward_]
    assert len(layers) == 4
    for layer in layers:
        assert (layer.bias_ih_l0 + layer.bias_hh_l0)[3:6].tolist() == [30.0] * 3  # input, forget, cell, output: three numbers each
        cell = torch.randn(1, 1, 3)
        with torch.no_grad():
            layer.bias_ih_l0[:3] = -30  # nothing comes in
            after = layer(torch.randn(9, 1, layer.input_size), (torch.randn(1, 1, 3), cell))[1][1]
        assert after.flatten().tolist() == pytest.approx(cell.flatten().tolist(), abs=1e-5)
