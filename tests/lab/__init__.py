"""The lab: real hosts, real firewalls, real packets. See README.md beside this file."""
