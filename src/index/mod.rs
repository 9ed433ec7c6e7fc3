//! index

pub mod disclosure;
