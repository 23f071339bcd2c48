"""Marks between which an evaluation script prints the output of its tests (swebench 5.0.2, `harness/constants`)."""

START, END, EXIT_CODE = ">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code"
