"""All sentences about results, of the tables and of the report. Numbers come in, text goes out; nothing is decided."""
