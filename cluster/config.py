"""How a run meets its cluster: every field is an execution field, so none of them changes what a run makes.

Knows names, sizes and addresses only: neither ray nor a stage.
"""

from cluster.fields import Config, execution

MIB = 1 << 20


class ClusterConfig(Config):
    """The cluster that a run's driver connects to."""

    address: str = execution(
        "local",
        'an embedded cluster of its own ("local"), or the GCS address of one that stands ("10.0.0.5:6379")',
        unit="none",
        min_length=1,
    )
    cpus: int = execution(0, "logical CPUs of an embedded cluster; 0: as many as the machine has", unit="CPUs", ge=0)
    object_store_bytes: int = execution(
        256 * MIB, "cap of the object store of an embedded cluster", unit="bytes", ge=80 * MIB
    )
    health_seconds: float = execution(
        0.5, "time between two looks of Ray Train at its workers", unit="seconds", gt=0, le=60
    )


class ClusterSpec(Config):
    """The cluster that a job is submitted to: what ``--cluster spec.toml`` may say."""

    address: str = execution(
        "local",
        'processes of this host, started where none of ours stands ("local"), or a Jobs API ("http://head:8265")',
        unit="none",
        min_length=1,
    )
    cpus: int = execution(0, "logical CPUs of a local head; 0: as many as the machine has", unit="CPUs", ge=0)
    object_store_bytes: int = execution(256 * MIB, "cap of a local head's object store", unit="bytes", ge=80 * MIB)
    python: str = execution("python", "interpreter that starts the driver on a remote head", unit="none", min_length=1)
    token_file: str = execution("", "file that holds the cluster's token; empty: Ray's own settings", unit="none")
