//! Origins that answer what no origin should.
