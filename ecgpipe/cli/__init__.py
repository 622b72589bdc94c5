"""The console command ``ecgpipe``: one module for each group of commands, imported without numpy, pandas or torch."""
