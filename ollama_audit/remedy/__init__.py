"""From failed findings to a plan, and from the plan to one bash script that can be undone."""
