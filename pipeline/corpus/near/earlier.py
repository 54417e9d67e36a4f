"""The index that a run leaves of what it kept or held out, and how a later run compares with it.

``index/N.bin`` are the band keys of ``kept/N`` and then ``heldout/N``, sorted, of one key at most ``bucket_pairs``
documents. A later run sends them to its partitions as documents that always stay; of their texts it reads those that
share a key with its own.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from cluster.data import Task
from cluster.errors import ConfigError
from pipeline import digest, rows
from pipeline.corpus import shuffle, tables
from pipeline.corpus.config import CorpusConfig
from pipeline.corpus.near import buckets, keys
from pipeline.corpus.near.config import DedupConfig
from pipeline.corpus.shingles import U64
from pipeline.corpus.work import Runner
from pipeline.stage import StageContext, StageFolder

SCHEME = "index/scheme.json"
RUNS = "timing/earlier.json"
"""The directories of the earlier runs, for a reader: what they are called belongs to no digest."""


def write(folder: StageFolder, config: CorpusConfig, name: str, n: int) -> int:
    """The index of piece n of the documents that others must not repeat."""
    table = _seen(folder, n)
    key, has = keys.all_keys(table, config.dedup)
    folder.write_bytes(name, buckets.pack(*buckets.ranked(key, has, config.dedup.bucket_pairs)), rows=len(has))
    return len(table)


def index(ctx: StageContext, run: Runner, config: CorpusConfig) -> None:
    """Leave the index, after all steps."""
    run("indexing", write, [Task(_index(n), {"n": n}, 1) for n in range(config.pieces)], "pieces")
    ctx.folder.write_json(SCHEME, {**keys.scheme(config.dedup), "pieces": config.pieces})


def outside(config: DedupConfig) -> str:
    """A digest of what the earlier runs hold; "" where there are none. Raises ConfigError for one that cannot serve."""
    if not (config.enabled and config.against):
        return ""
    manifests = [(_folder(run).manifest() or {}).get("digest") for run in config.against]
    for run, found in zip(config.against, manifests, strict=True):
        if found is None:
            raise _unusable(run, "it has no finished corpus", "Name a run directory whose corpus stage has ended")
        pieces(config, run)
    return digest.of_json(manifests)


def pieces(config: DedupConfig, run: str) -> int:
    """How many pieces the index of an earlier run has. Raises ConfigError where it is not made like ours."""
    folder = _folder(run)
    if not folder.done(SCHEME):
        raise _unusable(run, "it has no index", "Run it with corpus.dedup.index = true")
    found = folder.read_json(SCHEME)
    count = int(found.pop("pieces"))
    if found != keys.scheme(config):
        rule = f"its index is {found}, which cannot be compared with {keys.scheme(config)}"
        raise _unusable(run, rule, "Give both the same corpus.dedup settings")
    return count


def _unusable(run: str, rule: str, remedy: str) -> ConfigError:
    return ConfigError("corpus.dedup.against", run, rule, remedy)


def send(folder: StageFolder, config: CorpusConfig, name: str, run: int, n: int) -> int:
    """Send piece n of the index of an earlier run to the partitions of its keys."""
    key, row = buckets.unpack(_folder(config.dedup.against[run]).read_bytes(_index(n)))
    parts = buckets.spread(key, row.astype(np.uint32), config.pieces)
    shuffle.write(folder, sent(run, n), parts)
    folder.write_json(name, {"moved": sum(map(len, parts))})
    return len(key)


def texts(config: DedupConfig, places: U64) -> Sequence[pa.Table]:
    """The kept documents of earlier runs at some sorted places, in their order."""
    found = []
    for base in np.unique(places >> np.uint64(32)).tolist():
        own = places[places >> np.uint64(32) == base]
        folder = _folder(config.against[(base >> 16) - 1])
        found.append(_seen(folder, base & 0xFFFF).take(pa.array((own & np.uint64(0xFFFFFFFF)).astype(np.int64))))
    return found


def _seen(folder: StageFolder, n: int) -> pa.Table:
    return tables.concat((folder.read_table(rows.piece(kind, n)) for kind in ("kept", "heldout")), tables.DOCUMENTS)


def heldout(config: DedupConfig) -> Iterator[pa.Table]:
    """What the earlier runs have held out, in pieces: no training text of a later one may hold it."""
    for run in config.against if config.enabled else ():
        yield from map(_folder(run).read_table, _folder(run).pieces("heldout/"))


def place(run: int, n: int) -> int:
    """The place of the first document of piece n of an earlier run."""
    return (run + 1) << 48 | n << 32


def sent(run: int, n: int) -> str:
    return f"work/near/old/{run:03d}/{n:05d}.bin"


def _index(n: int) -> str:
    return f"index/{n:05d}.bin"


def _folder(run: str) -> StageFolder:
    return StageFolder.open(run, "corpus")
