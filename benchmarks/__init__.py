"""One file a claim; results as JSON with machine, versions and date. Never asserted in a test."""
