"""The weights that a file holds, and what is done to them to see whether they are followed. numpy only."""
