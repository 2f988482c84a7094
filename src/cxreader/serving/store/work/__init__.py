"""Work that is owed, leased from the database: images to be read, results to be sent, commitments to be answered."""
