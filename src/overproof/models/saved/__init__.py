"""Reading the folder of a saved student, and the rows that the student was made from."""
