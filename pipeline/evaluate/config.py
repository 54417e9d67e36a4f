"""Settings of the evaluation stages. Knows neither models nor Ray."""

from cluster.fields import Config, execution, result


class EvaluateConfig(Config):
    """What is scored after pretrain, finetune and rlhf; the same for all three, so that they can be compared."""

    heldout_bytes: int = result(
        300_000, "Held-out text scored per source, documents in order of id", unit="bytes", ge=256, le=1_000_000_000
    )
    stride: float = result(
        0.75,
        "New tokens that each window scores, as a share of the context; the rest of the window is context only",
        unit="fraction",
        gt=0,
        le=1,
    )
    items: int = result(200, "Items scored per kind, in order of id", unit="items", ge=1, le=1_000_000)
    shots: int = result(2, "Solved examples before an item in the few-shot setting", unit="examples", ge=1, le=16)
    shot_words: int = result(
        8, "Words before the answer that an example shows, so that examples fit beside a question", unit="words", ge=1
    )
    chunk_windows: int = result(96, "Windows in one piece of work", unit="windows", ge=1, le=100_000)
    chunk_items: int = result(50, "Items in one piece of work", unit="items", ge=1, le=100_000)
    threads: int = result(
        1, "Threads of one scoring worker: a matrix product's bits depend on it", unit="threads", ge=1, le=64
    )
    workers: int = execution(2, "Scoring workers, one CPU each", unit="workers", ge=1, le=4096)
