"""Write the schema."""

from benchmarks.schemas import FILE, schema_text

FILE.write_text(schema_text(), "utf-8")
