//! Inputs shared by the benches, made from seeds.
