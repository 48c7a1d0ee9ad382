"""What is built and what judges it: tasks, the registered three, and how a reference becomes one."""
