"""Templates, styles and scripts of the pages: jinja2, CSS and JavaScript."""
