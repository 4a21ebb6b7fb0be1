"""The router: questions become cases (admission), verified cases are routed. Its engine reads through Faust."""
