"""The summarizer: turns an accepted case into one training record per kept path."""
