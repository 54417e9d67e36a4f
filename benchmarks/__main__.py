"""Every benchmark in turn, then the README's table: ``python -m benchmarks``."""

from benchmarks import claim, default_run, exact_step, faults

for benchmark in (exact_step, default_run, faults, claim):
    benchmark.main()
