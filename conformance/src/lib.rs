//! Black-box suites live beside this package as scripts; the package holds the comparators that are
//! programs.
