"""The command line: wires reading, judging and printing; decides colour and exit codes."""
