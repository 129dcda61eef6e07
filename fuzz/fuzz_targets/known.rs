//! See the module `known` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(known);
