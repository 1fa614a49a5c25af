"""The explorer: ``kfgraph ui``. The only room that knows Textual; nothing imports it but the command."""
