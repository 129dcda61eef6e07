//! See the module `reference` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(reference);
