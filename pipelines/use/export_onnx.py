"""ONNX: a classifier in FILE.onnx, which runs without Wordloom and without torch, in any runtime that knows the format.

    inputs    ids             (B, T) int64, token ids of FILE.tokenizer.json, any number of texts of any length; what stands beyond a
                              text's end is not looked at
              lengths         (B,) int64, tokens of each
    output    probabilities   (B, C) float32; the file's metadata name the classes, as JSON, and the row
              numbers         in its place, (B, 1) float32, of a row whose answers are such

Rows are written operator by operator, and not by torch's exporter: of torch 2.13 it freezes the length of the texts in readers of both
directions, while ONNX's own LSTM, GRU and RNN take the lengths of the texts. N-grams are counted by TfIdfVectorizer, for which all
columns of a text are in memory. Cuts (max_tokens, keep) are part of the graph; cleaning and tokens are not.

Before it is handed out the file has answered as the model does, within TOLERANCE, on texts of chance.

With `int8` tables are kept in a byte a number, and a scale for each of their lines, a fourth of the size: symmetric rounding to
-127 ... 127 of a line's largest. Its answers may then be ROUGH away from the model's; what that costs on a test is for an evaluation to say.
"""

import functools
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import params
from pipelines.errors import Fault
from pipelines.use.cutting import Cut
from pipelines.use.predict import Classifier, Model

OPSET, IR = 18, 9  # of 2023, so that older runtimes read it
LARGEST = 2**31 - 2**20  # bytes of weights; protobuf holds no more
TOLERANCE = 1e-4  # of a probability; of a number, as a share of the largest
ROUGH = 0.05  # the same, of a graph of int8
ASKED, LONGEST = 16, 40  # texts that it is tried on, and their tokens at most
GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}  # ONNX's order, as places in torch's
WORDS = 1024  # words at a time
SHORTEST = 16  # numbers in a line that is rounded: with its scale of four bytes a shorter one would gain little
GOLDEN, FIRST, SECOND = (np.uint64(it) for it in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # of SplitMix64


class TooLarge(Fault):
    pass


class Graph:
    """Nodes in the order in which they are called; a call gives the name of what the node makes. Arrays become weights."""

    def __init__(self, int8: bool = False) -> None:
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self.int8 = int8

    def __call__(self, operator: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        return self.of(operator, 1, *inputs, **attributes)[0]

    def of(self, operator: str, n_outputs: int, *inputs: str | np.ndarray, **attributes: Any) -> list[str]:
        from onnx import helper

        if self.int8 and operator == "Gather" and _wide(table := inputs[0]):  # only the lines that a text asks for are made floats
            lines, scales = rounded(table)
            ids = inputs[1]
            return [self("Mul", self.numbers(self("Gather", lines, ids)), self("Gather", scales, ids))]
        names = [it if isinstance(it, str) else self.table(it) if self.int8 and _wide(it) else self.hold(it) for it in inputs]
        outputs = [f"{operator.lower()}{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, names, outputs, **attributes))
        return outputs

    def hold(self, array: np.ndarray) -> str:
        name = f"weights{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(array) if array.ndim else array
        return name

    def table(self, array: np.ndarray) -> str:
        lines, scales = rounded(array)
        return self("Mul", self.numbers(self.hold(lines)), scales)

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
        """x @ weight.T + bias"""
        product = self("MatMul", x, weight.T)
        return product if bias is None else self("Add", product, bias)

    def size(self, x: str, axis: int) -> str:
        """One whole number: how long an axis is."""
        return self("Gather", self("Shape", x), integer(axis))

    def before(self, lengths: str, n: str) -> str:
        """(B,), a whole number -> (B, n) bool, whether a place is before the end."""
        places = self("Range", integer(0), n, integer(1))
        return self("Less", places, self("Unsqueeze", lengths, integers(1)))

    def numbers(self, x: str) -> str:
        return self("Cast", x, to=1)  # FLOAT


def _wide(it: str | np.ndarray) -> bool:
    return not isinstance(it, str) and it.dtype == np.float32 and it.ndim > 1 and it.shape[-1] >= SHORTEST


def rounded(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., n) float32 -> (..., n) int8 and (..., 1) float32 scales, with table = lines * scales to half a scale."""
    scales = np.abs(table).max(axis=-1, keepdims=True) / 127
    scales[scales == 0] = 1
    return np.rint(table / scales).astype(np.int8), scales


def integer(value: int) -> np.ndarray:
    return np.array(value, np.int64)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def onnx(source: tuple[Path, str], file: Path, int8: bool = False) -> None:
    """Writes FILE.onnx and FILE.tokenizer.json. Raises Fault for a row that cannot be written, or whose file answers otherwise."""
    packages()
    root, row = source
    asked = Classifier(root, row)
    cutter = asked.cutter
    write(root, asked, file, int8)
    cutter.tokenizer.save(str(file.with_suffix(".tokenizer.json")))


def write(root: Path, asked: Classifier, file: Path, int8: bool = False) -> None:
    onnx, runtime = packages()
    row = asked.model.row.name
    g = Graph(int8)
    ids, lengths = _tidy(g)
    said = probabilities(g, asked.model, ids, lengths, root)
    g.nodes.append(onnx.helper.make_node("Identity", [said], [output(asked.model)]))
    if sum(it.nbytes for it in g.weights.values()) > LARGEST:
        raise TooLarge(
            f"classify.{row}: its weights are more than the 2 GB that a file *.onnx holds. Export it as *.hf, or lower max_vocab"
        )
    whole, kind = onnx.TensorProto.INT64, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        g.nodes,
        row,
        [kind("ids", whole, ["texts", "tokens"]), kind("lengths", whole, ["texts"])],
        [kind(output(asked.model), onnx.TensorProto.FLOAT, ["texts", len(asked.classes) or 1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in g.weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="wordloom")
    facts = {"row": row, "method": asked.model.row.method.name, "answer": asked.model.answer, "classes": json.dumps(asked.classes)}
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, str(file))
    _try(runtime, file, asked, int8)


def output(model: Model) -> str:
    """What the graph's output is called."""
    return "numbers" if model.answer == "number" else "probabilities"


def there() -> bool:
    """Whether the packages are."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnx.numpy_helper
        import onnxruntime
    except ImportError as err:
        raise Fault(f"a file *.onnx takes the packages onnx and onnxruntime ({err}). Run: pip install 'wordloom[onnx]'") from err
    return onnx, onnxruntime


def session(runtime: Any, file: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3  # a warning of each weight that it folds helps nobody
    return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _try(runtime: Any, file: Path, asked: Classifier, int8: bool) -> None:
    """Raises Fault where the file does not answer as the model does."""
    rng = np.random.default_rng(1)
    n_words = len(asked.model.vocabularies()[0][1])
    lengths = np.concatenate([[1, LONGEST], rng.integers(1, LONGEST + 1, ASKED - 2)])
    ids = rng.integers(0, n_words, (ASKED, LONGEST))
    values = np.concatenate([line[:n] for line, n in zip(ids, lengths, strict=True)]).astype(np.int32)
    expected = asked.probabilities(Cut(values, np.concatenate([[0], np.cumsum(lengths)]), []))
    (said,) = session(runtime, file).run(None, {"ids": ids, "lengths": lengths})
    away = float(np.abs(said - expected).max())
    largest = np.abs(expected).max() if asked.model.answer == "number" else 1
    most = (ROUGH if int8 else TOLERANCE) * largest
    if not away <= most:
        why = (
            "it does not stand being rounded to int8. Leave out --int8"
            if int8
            else "it is not the same model. Please report it, with the row's knobs; until then export it as *.hf"
        )
        raise Fault(
            f"{file.name} gives {output(asked.model)} up to {away:.2g} from those of classify.{asked.model.row.name}, "
            f"{most:.2g} is the most: {why}"
        )


def _tidy(g: Graph) -> tuple[str, str]:
    """ids that are those of the unknown token beyond a text's end, and lengths of 1 or more."""
    inside = g.before("lengths", g.size("ids", 1))
    return g("Mul", "ids", g("Cast", inside, to=7)), g("Max", "lengths", integers(1))  # INT64


def probabilities(g: Graph, model: Model, ids: str, lengths: str, root: Path) -> str:
    """(B, C); of a row whose answers are numbers (B, 1), these. Raises Fault for a row that cannot be written as a graph."""
    name = model.row.method.name
    settings, weights = model.kept
    if model.members:
        told = [probabilities(g, member, ids, lengths, root) for member in model.members]
        return {"temperature": _temperature, "ensemble": _ensemble}[name](g, told, settings, weights)
    knobs = settings["params"]
    if model.answer == "text" or not can(name, knobs):
        there = exportable(root)
        raise Fault(
            f"classify.{model.row.name}: a row of {name}{' with pooling: components' * (name == 'mean_vectors')} cannot be written as *.onnx; "
            + (
                f"{', '.join(there)} can. Name one of them, or export it as *.hf"
                if there
                else "no row of this project can. Export it as *.hf"
            )
        )
    if name in GRAPHS:
        return GRAPHS[name](g, model, ids, lengths)
    from pipelines import classifier

    asked: Any = model.method.probabilities_of
    # a reader's page says how its network is made; that of hybrid takes the words, too
    make = functools.partial(model.method.Hybrid, settings["words"]) if name == "hybrid" else asked.args[0]
    network = classifier.rebuild(make, model.method.Params, settings, weights)
    ids, lengths = _cut(g, ids, lengths, knobs["max_tokens"], knobs["keep"])
    return _told(g, NETWORKS.get(name, recurrent)(g, network, ids, lengths), settings)


def _told(g: Graph, scores: str, settings: dict[str, Any]) -> str:
    """As classifier.told."""
    if settings["params"]["target"] == "number":
        return g("Add", g("Mul", scores, number(settings["label_spread"])), number(settings["label_mean"]))
    return g("Sigmoid", scores) if settings["params"]["target"] == "several" else g("Softmax", scores, axis=1)


def can(method: str, knobs: dict[str, Any]) -> bool:
    return (method in GRAPHS or method in NETWORKS or method in RECURRENT) and knobs.get("pooling") != "components"


def exportable(root: Path) -> list[str]:
    """The rows of classify that `write` takes: what they are made of can be written, and cuts texts in one way."""
    rows = {row.name: row for row in params.read(root) if row.verb == "classify"}

    def is_one(name: str) -> bool:
        row = rows[name]
        members = row.inputs.get("predictions", [])
        return all(map(is_one, members)) if members else can(row.method.name, row.knobs.model_dump())

    def tokens(name: str) -> set[str]:
        members = rows[name].inputs.get("predictions", [])
        return {each for member in members for each in tokens(member)} if members else set(rows[name].inputs.get("tokens", []))

    return [name for name in rows if is_one(name) and len(tokens(name)) == 1]


def _cut(g: Graph, ids: str, lengths: str, most: int, keep: str) -> tuple[str, str]:
    """As reading.padded: (B, T) with T at most `most`, and (B,)."""
    kept = g("Min", lengths, integer(most))
    if keep == "head":
        return g("Slice", ids, integers(0), integers(most), integers(1)), kept
    head = g("Mul", kept, integer(0)) if keep == "tail" else g("Div", g("Add", kept, integer(1)), integer(2))
    places = g("Range", integer(0), g("Min", g.size(ids, 1), integer(most)), integer(1))
    head, left_out = (g("Unsqueeze", it, integers(1)) for it in (head, g("Sub", lengths, kept)))
    behind = g("Cast", g("GreaterOrEqual", places, head), to=7)
    place = g("Min", g("Add", places, g("Mul", behind, left_out)), g("Sub", g.size(ids, 1), integer(1)))
    return g("GatherElements", ids, place, axis=1), kept


def recurrent(g: Graph, network: Any, ids: str, lengths: str) -> str:
    """Any Recurrent; its words' vectors, however it makes them, are a table by now."""
    import torch

    n_words = network.embedding.num_embeddings
    with torch.no_grad():
        table = [network.words(torch.arange(n, min(n + WORDS, n_words))[:, None])[:, 0] for n in range(0, n_words, WORDS)]
    x = g("Gather", torch.cat(table).numpy(), g("Transpose", ids, perm=[1, 0]))  # (T, B, D)
    ways = 2 if len(network.backward_) else 1
    ends = g("Cast", lengths, to=6)  # INT32
    for i, onward in enumerate(network.onward):
        layers = [onward, network.backward_[i]] if ways == 2 else [onward]
        kind, size = onward.mode.split("_")[0], onward.hidden_size
        order = np.concatenate([np.arange(gate * size, (gate + 1) * size) for gate in GATES[kind]])
        w, r, b_w, b_r = (
            np.stack([getattr(layer, f"{name}_l0").detach().numpy()[order] for layer in layers])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        more: dict[str, Any] = {"direction": "bidirectional" if ways == 2 else "forward", "hidden_size": size}
        if kind == "GRU":
            more["linear_before_reset"] = 1
        if kind == "RNN":
            more["activations"] = [onward.nonlinearity.capitalize()] * ways
        states, last = g.of(kind, 2, x, w, r, np.concatenate([b_w, b_r], axis=1), ends, **more)  # (T, ways, B, H), (ways, B, H)
        x = g("Reshape", g("Transpose", states, perm=[0, 2, 1, 3]), integers(0, 0, ways * size))
    inside = g("Unsqueeze", g("Transpose", g.before(lengths, g.size(x, 0)), perm=[1, 0]), integers(2))  # (T, B, 1)
    if network.pooling == "last":
        pooled = g("Reshape", g("Transpose", last, perm=[1, 0, 2]), integers(0, ways * size))
    elif network.pooling == "max":
        pooled = g("ReduceMax", g("Where", inside, x, number(-np.inf)), integers(0), keepdims=0)
    elif network.pooling == "mean":
        total = g("ReduceSum", g("Mul", x, g.numbers(inside)), integers(0), keepdims=0)
        pooled = g("Div", total, g("Unsqueeze", g.numbers(lengths), integers(1)))
    else:
        heard = g.linear(g("Tanh", g.linear(x, *_of(network.key))), *_of(network.query))  # (T, B, 1)
        weight = g("Softmax", g("Where", inside, heard, number(-np.inf)), axis=0)
        pooled = g("ReduceSum", g("Mul", weight, x), integers(0), keepdims=0)
    return g.linear(pooled, *_of(network.decision))


def _of(layer: Any) -> tuple[np.ndarray, np.ndarray | None]:
    return layer.weight.detach().numpy(), None if layer.bias is None else layer.bias.detach().numpy()


def _channels(g: Graph, network: Any, ids: str, lengths: str) -> str:
    """(B, D, T), zeros from a text's end on."""
    x = g("Gather", network.embedding.weight.detach().numpy(), ids)
    inside = g("Unsqueeze", g.before(lengths, g.size(ids, 1)), integers(2))
    return g("Transpose", g("Mul", x, g.numbers(inside)), perm=[0, 2, 1])


def _seen(g: Graph, x: str, lengths: str) -> str:
    """(B, F, T), zeros from `lengths` on."""
    return g("Mul", x, g.numbers(g("Unsqueeze", g.before(lengths, g.size(x, 2)), integers(1))))


def _cnn(g: Graph, network: Any, ids: str, lengths: str) -> str:
    x, found = _channels(g, network, ids, lengths), []
    for filters in network.filters:
        width = filters.kernel_size[0]
        answers = g("Relu", g("Conv", x, *_of(filters), pads=[width - 1, width - 1]))
        found.append(g("ReduceMax", _seen(g, answers, g("Add", lengths, integer(width - 1))), integers(2), keepdims=0))
    weight = network.decision.weight
    weight = weight.renorm(2, 0, network.max_norm) if network.max_norm else weight
    return g.linear(g("Concat", *found, axis=1), weight.detach().numpy(), network.decision.bias.detach().numpy())


def _char_cnn(g: Graph, network: Any, ids: str, lengths: str) -> str:
    x = _channels(g, network, ids, lengths)
    for layer, pool in zip(network.layers, network.pools, strict=True):
        width = layer.kernel_size[0]
        x = _seen(g, g("Relu", g("Conv", x, *_of(layer), pads=[width // 2, width // 2])), lengths)
        x = g("MaxPool", x, kernel_shape=[pool], strides=[pool], ceil_mode=1)
        lengths = g("Div", g("Add", lengths, integer(pool - 1)), integer(pool))
    return g.linear(g("ReduceMax", x, integers(2), keepdims=0), *_of(network.decision))


def _flat(g: Graph, network: Any, ids: str, lengths: str) -> str:
    most = network.max_tokens
    ends = g("Unsqueeze", lengths, integers(1))
    places = integers(*range(most))  # (M,)
    place = g("Sub", places, g("Sub", integer(most), ends)) if network.tail else g("Add", places, g("Mul", ends, integer(0)))  # (B, M)
    inside = g("And", g("GreaterOrEqual", place, integer(0)), g("Less", place, ends))
    there = g("Min", g("Max", place, integer(0)), g("Sub", g.size(ids, 1), integer(1)))
    x = g("Gather", network.embedding.weight.detach().numpy(), g("GatherElements", ids, there, axis=1))  # (B, M, D)
    x = g("Mul", x, g.numbers(g("Unsqueeze", inside, integers(2))))
    x = g("Reshape", x, integers(0, most * network.embedding.embedding_dim))
    if network.hidden is not None:
        x = g("Relu", g.linear(x, *_of(network.hidden)))
    return g.linear(x, *_of(network.decision))


def _multihot(g: Graph, model: Model, ids: str, lengths: str) -> str:
    settings, weights = model.kept
    n_layers = len(settings["params"]["hidden_sizes"]) + 1
    names = sorted({int(name.split(".")[0]) for name in weights})
    x = _marks(g, ids, len(settings["words"]))
    for i, name in enumerate(names):
        weight = weights[f"{name}.weight"].copy()
        if i == 0:
            weight[:, 0] = 0  # the unknown token is no word
        x = g.linear(x, weight, weights[f"{name}.bias"])
        x = g("Relu", x) if i + 1 < n_layers else x
    return _told(g, x, settings)


def _marks(g: Graph, columns: str, n: int) -> str:
    """(B, k) int64 -> (B, n), 1 in each of a text's columns."""
    shape = g("Concat", g("Unsqueeze", g.size(columns, 0), integers(0)), integers(n), axis=0)
    ones = g("Expand", number(1), g("Shape", columns))
    return g("ScatterElements", g("Expand", number(0), shape), columns, ones, axis=1, reduction="max")


def _grams(weights: dict[str, np.ndarray], n_vocab: int) -> list[np.ndarray]:
    """(F_n, n) int64 token ids of the n-grams of each length, as kernels/grams.py has them as keys."""
    grams: list[np.ndarray] = []
    while len(keys := weights.get(f"grams{len(grams) + 1}", ())):
        last = (keys % n_vocab)[:, None]
        grams.append(np.hstack([grams[-1][keys // n_vocab], last]) if grams else last)
    return grams


def _bag(g: Graph, model: Model, ids: str) -> str:
    """(B, F) of n-grams, weighted but for their length and, of nb_svm, their ratios."""
    settings, weights = model.kept
    knobs, grams = settings["params"], _grams(weights, len(settings["words"]))
    sizes = [it.size for it in grams]
    x = g(
        "TfIdfVectorizer", ids, mode="TF", min_gram_length=1, max_gram_length=len(grams), max_skip_count=0,
        ngram_counts=[0, *np.cumsum(sizes[:-1]).tolist()], ngram_indexes=list(range(sum(map(len, grams)))),
        pool_int64s=np.concatenate([it.ravel() for it in grams]).tolist(),
    )  # fmt: skip
    if knobs["weighting"] == "binary":
        x = g("Min", x, number(1))
    elif knobs["sublinear"]:
        x = g("Where", g("Greater", x, number(0)), g("Add", g("Log", g("Max", x, number(1))), number(1)), number(0))
    return g("Mul", x, weights["idf"]) if "idf" in weights else x


def _over(g: Graph, x: str, squares: str) -> str:
    """x over the root of squares, where these are not 0."""
    return g("Div", x, g("Where", g("Greater", squares, number(0)), g("Sqrt", squares), number(1)))


def _linear(g: Graph, model: Model, ids: str, lengths: str) -> str:
    settings, weights = model.kept
    x = _bag(g, model, ids)
    if settings["params"]["normalise"]:
        x = _over(g, x, g("ReduceSumSquare", x, integers(1)))
    return _decided(g, x, weights, settings["params"].get("target", "one"))


def _nb_svm(g: Graph, model: Model, ids: str, lengths: str) -> str:
    settings, weights = model.kept
    ratio, x = weights["ratio"], _bag(g, model, ids)
    scores = g.linear(x, ratio * weights["coefficients"])
    if settings["params"]["normalise"]:
        scores = _over(g, scores, g.linear(g("Mul", x, x), ratio**2))
    return g("Softmax", _two(g, g("Add", scores, weights["intercept"]), len(ratio)), axis=1)


def _decided(g: Graph, x: str, weights: dict[str, np.ndarray], target: str = "one") -> str:
    coefficients = weights["coefficients"].astype(np.float32)
    scores = g.linear(x, coefficients, weights["intercept"].astype(np.float32))
    if target == "number":
        return scores
    return g("Sigmoid", scores) if target == "several" else g("Softmax", _two(g, scores, len(coefficients)), axis=1)


def _two(g: Graph, scores: str, n: int) -> str:
    """One score is that of the second of two classes."""
    return g("Concat", g("Mul", scores, number(0)), scores, axis=1) if n == 1 else scores


def _mean_vectors(g: Graph, model: Model, ids: str, lengths: str) -> str:
    settings, weights = model.kept
    word = weights["word"].astype(np.float32)  # that of the unknown token is zeros, and so is all beyond a text's end
    known = word.any(axis=1)
    there = g("Gather", known.astype(np.float32)[:, None], ids)  # (B, T, 1)
    n = g("ReduceSum", there, integers(1), keepdims=0)
    total = g("ReduceSum", g("Gather", (word * weights["weight"][:, None]).astype(np.float32), ids), integers(1), keepdims=0)
    x = g("Div", total, g("Max", n, number(1)))
    if "removed" in weights:
        x = g("MatMul", x, (np.eye(word.shape[1]) - weights["removed"].T @ weights["removed"]).astype(np.float32))
    if settings["params"]["pooling"] == "mean_max_min":
        mine, some, parts = g("Gather", word, ids), g("Greater", n, number(0)), [x]
        for operator, least in (("ReduceMax", -np.inf), ("ReduceMin", np.inf)):
            most = g(operator, g("Where", g("Greater", there, number(0)), mine, number(least)), integers(1), keepdims=0)
            parts.append(g("Where", some, most, number(0)))
        x = g("Concat", *parts, axis=1)
    return _decided(g, x, weights)


def _fasttext_like(g: Graph, model: Model, ids: str, lengths: str) -> str:
    """Words and hashed n-grams, as kernels/averaged.py finds them."""
    settings, weights = model.kept
    n_vocab, buckets = len(settings["words"]), settings["params"]["buckets"]
    n_rows = len(weights["rows"])
    place = np.full(n_vocab + buckets, n_rows, np.int32)  # that of a row which is not kept is one of zeros
    place[weights["rows"]] = np.arange(n_rows)
    place_of = g.hold(place)
    golden = np.array(GOLDEN).astype(np.int64)
    word, part = ids, g("Mul", ids, golden)  # int64, which wraps as uint64 does
    found, key, whole = [], g("Mul", ids, integer(0)), g("Greater", ids, integer(0))
    for n in range(settings["params"]["ngrams"]):
        if n:  # one token further
            word, part = _moved(g, word), _moved(g, part)
            whole = g("And", whole, g("Greater", word, integer(0)))
        key = _mixed(g, g("Add", key, part))
        at = ids if n == 0 else g("Add", g("Cast", g("Mod", g("Cast", key, to=13), np.array(buckets, np.uint64)), to=7), integer(n_vocab))
        found.append(g("Where", whole, g("Cast", g("Gather", place_of, at), to=7), integer(n_rows)))
    marks = _marks(g, g("Concat", *found, axis=1), n_rows + 1)
    share = np.append(weights["share"], 0).astype(np.float32)
    vectors = np.vstack([weights["vectors"], np.zeros_like(weights["vectors"][:1])])
    total = g("MatMul", marks, share[:, None])
    mean = g("Div", g("MatMul", marks, share[:, None] * vectors), g("Where", g("Greater", total, number(0)), total, number(1)))
    return g("Softmax", g.linear(mean, weights["outputs"]), axis=1)


def _moved(g: Graph, x: str) -> str:
    """(B, T) int64 as it stands one token further; 0 after the last one."""
    nothing = g("Mul", g("Slice", x, integers(0), integers(1), integers(1)), integer(0))
    return g("Concat", g("Slice", x, integers(1), integers(2**62), integers(1)), nothing, axis=1)


def _mixed(g: Graph, z: str) -> str:
    """The finaliser of SplitMix64, of int64."""
    for shift, factor in ((30, FIRST), (27, SECOND), (31, None)):
        bits = g("Cast", z, to=13)  # UINT64
        moved = g("Cast", g("BitShift", bits, np.array(shift, np.uint64), direction="RIGHT"), to=7)
        z = g("BitwiseXor", z, moved)
        z = z if factor is None else g("Mul", z, np.array(factor).astype(np.int64))
    return z


def _majority(g: Graph, model: Model, ids: str, lengths: str) -> str:
    shares = model.kept[1]["shares"]
    shape = g("Concat", g("Unsqueeze", g.size(ids, 0), integers(0)), integers(len(shares)), axis=0)
    return g("Expand", shares[None], shape)


def _temperature(g: Graph, told: list[str], settings: dict, weights: dict[str, np.ndarray]) -> str:
    return g("Softmax", g("Div", _logarithms(g, told[0]), weights["temperature"].astype(np.float32)), axis=1)


def _logarithms(g: Graph, p: str) -> str:
    return g("Log", g("Max", p, number(np.finfo(np.float32).tiny)))


def _ensemble(g: Graph, told: list[str], settings: dict, weights: dict[str, np.ndarray]) -> str:
    from pipelines.classify import ensemble

    of = ensemble.orders(settings["classes"], settings["of"])
    ordered = [g("Gather", p, integers(*order), axis=1) for p, order in zip(told, of, strict=True)]
    in_logarithms = ensemble.Params(**settings["params"]).pool == "logarithmic"
    parts = [_logarithms(g, p) if in_logarithms else p for p in ordered]
    parts = [g("Mul", part, number(weight)) for part, weight in zip(parts, weights["weights"], strict=True)]
    total = functools.reduce(lambda total, part: g("Add", total, part), parts)
    return g("Softmax", total, axis=1) if in_logarithms else total


GRAPHS: dict[str, Callable[[Graph, Model, str, str], str]] = {  # -> probabilities
    "tfidf_logreg": _linear, "tfidf_ridge": _linear, "linear_svm": _linear, "nb_svm": _nb_svm, "mean_vectors": _mean_vectors, "fasttext_like": _fasttext_like,
    "multihot_mlp": _multihot, "majority": _majority,
}  # fmt: skip
NETWORKS: dict[str, Callable[[Graph, Any, str, str], str]] = {"cnn": _cnn, "char_cnn": _char_cnn, "flat_mlp": _flat}  # -> scores
RECURRENT = {"simple_rnn", "lstm", "gru", "lstm_attention", "hybrid", "masked", "contrastive", "mixed_lstm", "lm_lstm"}  # by `recurrent`
