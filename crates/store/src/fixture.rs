//! A PostgreSQL server of one's own, for tests and benchmarks: Debian's binaries, a directory and a port nobody else
//! uses.
