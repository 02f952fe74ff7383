"""What clauses oblige to: what each side says was done, what both have established, what the clock says; never one word."""
