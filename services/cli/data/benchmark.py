"""`reasonmed benchmark`: a model's accuracy on questions with known answers."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from services.cli.console import UP, Folder, Json
from services.cli.ingest.options import Columns, Delimiter, Encoding, FormatOption, Source


def benchmark(  # noqa: PLR0913 -- Typer makes an option of each argument
    files: Annotated[list[str], typer.Argument(help="Questions with answers, in any format that `submit` reads.")],
    model: Annotated[str, typer.Option(help="The served name; with --weights, served as NAME@DIGEST.")],
    weights: Annotated[
        Path | None, typer.Option(help="The folder of local weights: their digest is the revision and in the name.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Of a hosted model, as you know it; reported as unverified.")
    ] = None,
    prompt: Annotated[
        Literal["exported", "instructed"],
        typer.Option(help="As exports have it; or with instructions, for models that were not trained on ours."),
    ] = "exported",
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Of the sampling; 0: the likeliest answer.")] = 0.0,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Answers per question, each with its seed.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, max=131_072, help="Of an answer; a longer one is cut off.")] = 4_096,
    subset: Annotated[int | None, typer.Option(min=1, help="So many questions, by source and subject.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another subset.")] = 1,
    held_out: Annotated[
        Path | None,
        typer.Option(help="The index that the training data was checked against; `export` and `train` take it."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another report: paired differences, question by question.")
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option(help="Write the same prompts as tasks of lm-eval to this folder.")
    ] = None,
    price_in: Annotated[float, typer.Option(min=0, help="USD per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="USD per million completion tokens.")] = 0.0,
    llm_url: Annotated[
        str | None,
        typer.Option(
            "--llm-url", help="An OpenAI-compatible server (up to /v1); else that of `benchmark` in REASONMED_MODELS."
        ),
    ] = None,
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("benchmark.json"),
    format: FormatOption = "auto",
    columns: Columns = None,
    source: Source = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Ask a model questions with known answers; report its accuracy by set and subject, with 95% intervals.

    An answer counts only if it states a letter as its final answer: nothing is guessed, and what is not stated is
    wrong. With several samples also the majority's answer (maj@k) and whether any is right (pass@k). Calls go through
    the ledger: after Ctrl-C, asked again or with more --samples, the same command pays only for what is missing. The
    file has every answer with its call id.

    Example:  reasonmed benchmark test.jsonl --model mine --weights runs/mine/model --held-out evaluation.index
    """
    # Only when it runs: --help needs the options alone.
    from services.cli.data import benchmarking
    from services.cli.ingest.asked import asked

    benchmarking.run(
        benchmarking.Wanted(
            files=files,
            asked=asked(format, columns, source=source, delimiter=delimiter, encoding=encoding),
            model=model,
            weights=weights,
            revision=revision,
            prompt=prompt,
            temperature=temperature,
            samples=samples,
            max_tokens=max_tokens,
            prices=(price_in, price_out),
            subset=subset,
            seed=seed,
            held_out=held_out,
            against=against,
            tasks=tasks,
        ),
        llm_url=llm_url,
        to=to,
        folder=folder,
        json=json,
    )
