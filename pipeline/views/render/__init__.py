"""How a run's document is drawn: numbers, charts, HTML and Markdown. Knows no stage and no run directory."""
