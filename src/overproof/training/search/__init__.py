"""The search for the method and the training options of a student, on labelled examples out of sample."""
