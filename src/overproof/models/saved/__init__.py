"""What is saved beside a student's weights and description: the rows that it was made from."""
