"""Every benchmark in turn, then the README's table: ``python -m benchmarks``.

Those of the corpus want real text (BENCH_TEXT) and peers (BENCH_PEERS), those on a run's tokens a run
(BENCH_RUN); where they have none they say so, and their old figures stay.
"""

import importlib

ALONE = (
    "bare_loop", "ddp", "mfu", "against_transformers", "head_loss", "experts", "bubble", "layouts", "tfixup", "growth",
)  # fmt: skip
ON_TEXT = ("minhash", "near_dup", "substring", "tokenise", "tokenizer_counts", "filters_agree")
JOURNEYS = ("text_journey", "text_digests", "default_run", "faults")
ON_A_RUN = ("muon", "guard")

for name in (*ALONE, *ON_TEXT, *JOURNEYS, *ON_A_RUN, "claim"):
    try:
        importlib.import_module(f"benchmarks.{name}").main()
    except SystemExit as missing:
        print(f"{name}: {missing}", flush=True)
