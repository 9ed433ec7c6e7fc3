//! The gate: what is refused, what stays, what may be shown.
