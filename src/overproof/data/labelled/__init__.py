"""What is to be known of labelled examples before they are used: repeats, near copies, groups."""
