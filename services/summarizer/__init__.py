"""The summarizer: an accepted case in, one training record for each kept path out."""
