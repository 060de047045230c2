"""The report: one HTML page, made from an output folder alone, that needs no network."""
