"""One module a Hugging Face layout, reached by name: ``export_files(model, tokenizer)`` gives its files."""
