"""The version, in the one place where it is written: the build, the command line and the records read it here.

A source tree answers without being installed, and one that lies before an installed copy tells its own version.
"""

__version__ = "0.2.0"

# What `make dist` builds. Advice names this file: `pip install` with the project's name alone would ask an index.
WHEEL = f"shared_layers-{__version__}-py3-none-any.whl"
