//! The end-to-end, fault and crash tests.

mod both_ways;
