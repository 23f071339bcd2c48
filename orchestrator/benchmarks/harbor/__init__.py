"""Harbor tasks: schema, files, what their environment needs."""
