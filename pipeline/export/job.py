"""Writes the export into its stage folder. The work is one process's, so it uses no Ray."""

from pipeline.export.files import make_files
from pipeline.stage import StageContext


def run(ctx: StageContext) -> None:
    """Write config.json, weights, tokenizer files, generation_config.json and README.md."""
    files, facts = make_files(ctx.config.export, ctx.inputs)
    with ctx.progress("exporting", len(files), "files") as bar:
        for name, data in sorted(files.items()):
            ctx.folder.write_bytes(name, data)
            bar.advance()
    ctx.count(**facts)
