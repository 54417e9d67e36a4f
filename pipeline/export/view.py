"""The export in the report: its files, with their checksums, and how to load them."""

from pipeline import figures
from pipeline.sections import Cell, Note, Section, Table
from pipeline.stage import StageFolder

HOW = (
    "The folder loads with transformers: AutoModelForCausalLM.from_pretrained(FOLDER) and"
    " AutoTokenizer.from_pretrained(FOLDER). README.md in it is the model card."
)
OWN = "The folder is in Firstlight's own layout, which transformers does not load. README.md in it says how to: "


def section(folder: StageFolder, inputs: dict[str, StageFolder]) -> Section | None:
    """The files of the export; None before the first one stands."""
    rows: list[list[Cell]] = []
    for piece in folder.pieces():
        record = folder.record(piece)
        assert record is not None
        rows.append([piece, record["bytes"], record["sha256"]])
    if not rows:
        return None
    manifest = folder.manifest()
    counts = manifest["content"]["counts"] if manifest else {}
    if "stage" not in counts:
        return Section("export", "Export", f"Half done: {len(rows)} files stand.", [Table("Files", COLUMNS, rows)])
    size = figures.size(sum(int(row[1] or 0) for row in rows))
    lead = (
        f"The model of the stage {counts['stage']}, {counts['parameters']:,} parameters, in {len(rows)} files, {size}."
    )
    sha = next((str(row[2]) for row in rows if row[0] == "model.safetensors"), "")
    headline = [("model.safetensors", sha[:12])]
    why = counts.get("not_of_transformers", [])
    how = f"{OWN}{'; '.join(why)}." if why else HOW
    return Section("export", "Export", lead, [Table("Files", COLUMNS, rows), Note(how)], headline)


COLUMNS = ["file", "bytes", "sha256"]
