"""The router, on Faust: questions become cases (admission), verified cases are routed."""
