"""Where a run executes: storage, telemetry, the Ray connection, launch and jobs. Knows no torch and no stage."""
