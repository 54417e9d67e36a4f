"""One module a markup, found by its name: ``undo(text, config)`` gives the text, and (reason, what was cut out)."""
