"""What work does, whatever the machine: counts, their fold into time, estimates, memory."""
