"""Other methods in the same harness: scaled rows in, scaled points out, same models."""
