"""The part of the `wordloom` command that uses what was trained."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.terminal import CLASSIFIED, CODED, EMBEDDED, ROOT, in_project, rows_of
from pipelines.errors import Fault

app = typer.Typer()


@app.command()
def export(
    noun: Annotated[str, typer.Argument(help="counts, vectors, codings, or model: a classifier.")],
    row: Annotated[
        str, typer.Argument(help="The row of params.yaml that made it.", autocompletion=rows_of(embed="", compress="", classify=""))
    ],
    file: Annotated[
        Path, typer.Argument(help="Where to; its ending says in which form, see docs/export.md: .vec, .onnx, .hf ...", metavar="FILE")
    ],
    words: Annotated[Path | None, typer.Option(help="Only vectors of these words, one a line; unknown ones of letter n-grams.")] = None,
    sentences: Annotated[Path | None, typer.Option(help="Vectors of the words of these sentences, one a line, by a row of bilm.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="A model in *.onnx with a byte a number: a fourth of the size.")] = False,
) -> None:
    """Write an artifact to a file that other programs read."""
    from pipelines.use import export as exporting

    in_project()
    for path in exporting.export(ROOT, noun, row, file, words, sentences, int8):
        print(path)


@app.command()
def neighbours(
    row: Annotated[str, typer.Argument(help="A row of embed, or compress/ROW.", autocompletion=rows_of(embed="", compress="compress/"))],
    words: Annotated[list[str], typer.Argument(help="Unknown ones are made of letter n-grams, by rows that hold some.", metavar="WORD...")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many neighbours.")] = 10,
    exact: Annotated[
        str | None,
        typer.Option(help="With compress/ROW: the best by codings, again by this row of embed.", autocompletion=EMBEDDED),
    ] = None,
    sentences: Annotated[
        list[str] | None,
        typer.Option("--in", help="The words as they stand in it, by a row of bilm; as often as you like.", metavar="SENTENCE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An object a line.")] = False,
) -> None:
    """Show the words nearest to words, with their cosines."""
    from pipelines.use import neighbours as asking
    from pipelines.use.space import Space

    in_project()
    if row.startswith("compress/"):
        if sentences:
            raise Fault("--in: codings have no sentences. Name a row of bilm")
        found = asking.by_codings(ROOT, row.removeprefix("compress/"), words, k, exact)
    elif exact:
        raise Fault(f"--exact is for codings, and {row} is a row of embed, which is exact. Leave it out, or name compress/ROW")
    elif sentences:
        found = asking.in_sentences(ROOT, row, words, sentences, k)
    else:
        found = asking.neighbours(Space(ROOT, row), words, k)
    for it in found:
        if as_json:
            print(json.dumps(it.record(), ensure_ascii=False))
            continue
        print(f"{it.word}{f' ({it.origin})' * bool(it.origin)}: {', '.join(f'{word} {cosine:.3f}' for word, cosine in it.near)}")
        if it.elsewhere:
            print(f"  itself {', '.join(f'{where} {cosine:.3f}' for where, cosine in it.elsewhere)}")


@app.command()
def analogy(
    row: Annotated[str, typer.Argument(help="A row of embed.", autocompletion=EMBEDDED)],
    a: Annotated[str, typer.Argument(metavar="A")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many answers.")] = 10,
    method: Annotated[
        Literal["add", "mul"], typer.Option(help="add: the cosine with B - A + C (3CosAdd); mul: likenesses multiplied (3CosMul).")
    ] = "add",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """A is to B as C is to which word? Show the likeliest, with their scores."""
    from pipelines.use import analogy as asking
    from pipelines.use.space import Space

    in_project()
    found = asking.analogy(Space(ROOT, row), a, b, c, k, method)
    if as_json:
        print(json.dumps([{"word": word, "score": round(score, 6)} for word, score in found], ensure_ascii=False))
        return
    print(f"{a} : {b} = {c} : {', '.join(f'{word} {score:.3f}' for word, score in found)}")


@app.command()
def similar(
    row: Annotated[str, typer.Argument(help="A row of embed.", autocompletion=EMBEDDED)],
    a: Annotated[str, typer.Argument(metavar="A")],
    b: Annotated[str, typer.Argument(metavar="B")],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show how alike two words are, by their cosine."""
    from pipelines.use import analogy as asking
    from pipelines.use.space import Space

    in_project()
    cosine = asking.similar(Space(ROOT, row), a, b)
    print(json.dumps({"a": a, "b": b, "cosine": round(cosine, 6)}, ensure_ascii=False) if as_json else f"{cosine:.3f}")


@app.command()
def search(
    row: Annotated[str, typer.Argument(help="A row of mean_of_words, lsa, bags or doc2vec.", autocompletion=EMBEDDED)],
    query: Annotated[str, typer.Argument(help="A text, of one word or many.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="By a graph of the vectors (HNSW), which is made once; for millions of documents.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="An object a line.")] = False,
) -> None:
    """Show the documents nearest to a text."""
    from pipelines.use import search as asking

    in_project()
    for hit in asking.search(ROOT, row, query, k, approximate):
        if as_json:
            print(json.dumps(hit.record(), ensure_ascii=False))
        else:
            print("  ".join(filter(None, [f"{hit.cosine:.3f}", hit.doc_id, hit.label and f"({hit.label})", hit.text])))


@app.command()
def encode(
    row: Annotated[str, typer.Argument(help="A row of compress.", autocompletion=CODED)],
    file: Annotated[Path, typer.Argument(help="Vectors: .parquet, .csv, .tsv, or word2vec's or GloVe's text.", metavar="FILE")],
    out: Annotated[Path, typer.Argument(help="Where to: .parquet, .vec or .txt.", metavar="OUT")],
) -> None:
    """Turn vectors of a file into codings, by a row of compress."""
    from pipelines.use import encode as coding

    in_project()
    print(f"{coding.encode(ROOT, row, file, out):,} codings: {out}")


@app.command()
def decode(
    row: Annotated[str, typer.Argument(help="A row of compress.", autocompletion=CODED)],
    file: Annotated[Path, typer.Argument(help="Its codings: .parquet, .csv, .tsv, or as text.", metavar="FILE")],
    out: Annotated[Path, typer.Argument(help="Where to: .parquet, .vec or .txt.", metavar="OUT")],
) -> None:
    """Turn codings of a file back into vectors, by the row of compress that made them."""
    from pipelines.use import encode as coding

    in_project()
    print(f"{coding.decode(ROOT, row, file, out):,} vectors: {out}")


@app.command()
def predict(
    row: Annotated[str, typer.Argument(help="A row of classify.", autocompletion=CLASSIFIED)],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; none: those of --file, or lines of standard input.", metavar="TEXT...")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A text a line, or column `text` of .parquet, .csv, .tsv, .jsonl.", metavar="FILE")
    ] = None,
    column: Annotated[str, typer.Option(help="Of a table.")] = "text",
    out: Annotated[Path | None, typer.Option(help="Write a row a text there, and show none.", metavar="FILE.parquet")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="An object a line.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="And the words that the class, or the number, hangs on most.")] = False,
) -> None:
    """Say which classes texts are of, or which number is theirs, by what a row of classify has learned."""
    from pipelines.use import asking

    in_project()
    if texts and file:
        raise Fault(f"--file {file} and texts on the command line: give one of them")
    if out and (as_json or explain):
        raise Fault("--out writes a table of what is predicted; leave --json and --explain out")
    given = asking.texts(texts, file, column)
    answers = asking.answers(ROOT, row, given, explain)
    if out:
        print(f"{asking.write(answers, out):,} texts: {out}")
        return
    n = 0
    for n, answer in enumerate(answers, 1):  # noqa: B007
        print(json.dumps(answer, ensure_ascii=False) if as_json else asking.line(answer), flush=True)
    if not n:
        raise Fault("there is no text to ask about. Give some on the command line, by --file, or as lines of standard input")


@app.command("continue")
def continue_(
    row: Annotated[str, typer.Argument(help="A row of classify whose method is next_word.")],
    prompt: Annotated[str, typer.Argument(help="How the text begins; may be empty.", metavar="TEXT")] = "",
    tokens: Annotated[int, typer.Option(min=1, help="At most so many more.")] = 30,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest word each time, 1 draws as the model says.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 1,
) -> None:
    """Go on with a text, by a language model."""
    from pipelines.use.predict import continued

    in_project()
    for text in continued(ROOT, row, prompt, tokens, n, temperature, seed):
        print(text)


@app.command()
def generate(
    row: Annotated[str, typer.Argument(help="A row of compress.")],
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="How many.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 1,
    ends: Annotated[
        tuple[str, str] | None,
        typer.Option("--between", help="From the coding of one item in even steps to that of another, of any row.", metavar="ITEM ITEM"),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many of the nearest items are shown.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Write codings and vectors there, and show none.", metavar="FILE.parquet")] = None,
) -> None:
    """Draw new codings, of a row of variational or adversarial, and show what they are nearest to when decoded."""
    from pipelines.use import generate as making

    in_project()
    made = making.between(ROOT, row, *ends, n) if ends else making.drawn(ROOT, row, n, seed)
    if out:
        making.write(made, out)
        print(out)
        return
    for name, items in zip(made.names, making.near(ROOT, row, made.vector, k), strict=True):
        print(f"{name}: {', '.join(f'{item} {cosine:.3f}' for item, cosine in items)}")


@app.command()
def explore(
    host: Annotated[str, typer.Option(help="The address of this machine on which it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4230,
) -> None:
    """Look at what was trained in a browser: neighbours, analogies, search, predictions, the report. Nothing is changed."""
    in_project()
    from flows import explore as exploring

    exploring.serve(ROOT, host, port)
