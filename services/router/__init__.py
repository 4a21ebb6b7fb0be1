"""The router, on Faust: questions become cases (admission), verified cases find their way (routing)."""
