"""What the commands print: tables, JSON and the terminal itself."""
